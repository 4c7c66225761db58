"""Who watches which job in this process, and how far each job is."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tasks.jobs import FINAL, State
from tasks.messaging.progress import ProgressMessage

T = TypeVar("T")

LATEST_CACHE_SIZE = 10_000  # jobs whose latest progress is kept
QUEUE_SIZE = 64  # messages that a slow watcher may lag behind; the oldest are dropped, the latest counts


@dataclass
class WatchedJob:
    """A job that somebody watches: the queues of its watchers, where it was last said to be, and what it looks like."""

    queues: set[asyncio.Queue[ProgressMessage]] = field(default_factory=set)
    position: tuple[str, int] | None = None
    view: asyncio.Future[Any] | None = None


class ProgressHub:
    """Fans progress out to asyncio queues, and one look at a job to all who watch it.

    To be used in the event loop's thread only.
    """

    def __init__(self) -> None:
        self._watched: dict[str, WatchedJob] = {}
        self._latest: OrderedDict[str, ProgressMessage] = OrderedDict()

    def publish(self, progress: ProgressMessage) -> None:
        """Remember the progress of a job and pass it on to those who watch it."""
        self._latest.pop(progress.job, None)
        if progress.state not in FINAL:
            self._latest[progress.job] = progress
            if len(self._latest) > LATEST_CACHE_SIZE:
                self._latest.popitem(last=False)
        if watched := self._watched.get(progress.job):
            self._deliver(watched, progress)

    def reconcile(self, job: str, tenant: str, state: State, attempt: int) -> None:
        """Tell the watchers of a job where the ledger says that it is, if they were told otherwise or nothing."""
        watched = self._watched.get(job)
        if watched is not None and watched.position != (state, attempt):
            self.publish(ProgressMessage(job=job, tenant=tenant, state=state, attempt=attempt, percent=0))

    def latest(self, job: str) -> ProgressMessage | None:
        """The last word about an unfinished job, if there was any."""
        return self._latest.get(job)

    def watched_jobs(self) -> list[str]:
        """The jobs that are watched now."""
        return list(self._watched)

    @contextmanager
    def subscribe(self, job: str) -> Iterator[asyncio.Queue[ProgressMessage]]:
        """A queue of the job's progress from now on."""
        queue: asyncio.Queue[ProgressMessage] = asyncio.Queue(QUEUE_SIZE)
        watched = self._watched.setdefault(job, WatchedJob())
        watched.queues.add(queue)
        try:
            yield queue
        finally:
            watched.queues.discard(queue)
            if not watched.queues:
                del self._watched[job]

    async def get_view(self, job: str, look_up: Callable[[], Awaitable[T]]) -> T:
        """What a watched job looks like: looked up once after every change of its state, however many watch it."""
        watched = self._watched[job]
        if watched.view is None:
            watched.view = asyncio.ensure_future(look_up())
            watched.view.add_done_callback(_retrieve_exception)
        view: asyncio.Future[T] = watched.view
        try:
            return await asyncio.shield(view)
        except Exception:
            if watched.view is view:
                watched.view = None  # the next one tries again
            raise

    @staticmethod
    def _deliver(watched: WatchedJob, progress: ProgressMessage) -> None:
        place = (progress.state, progress.attempt)
        if place != watched.position:
            watched.position, watched.view = place, None
        for queue in watched.queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(progress)


def _retrieve_exception(view: asyncio.Future[Any]) -> None:
    """Its error was told to whoever still waited for it."""
    if not view.cancelled():
        view.exception()


async def next_event(queue: asyncio.Queue[ProgressMessage], seconds: float) -> ProgressMessage | None:
    """The next message of a watched job, or None if there is none for so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await queue.get()
    return None


async def wait_for_final_event(queue: asyncio.Queue[ProgressMessage], seconds: float) -> None:
    """Wait until a watched job is said to be settled, so many seconds at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await queue.get()).state not in FINAL:
                pass
