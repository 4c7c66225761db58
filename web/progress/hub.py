"""Distributes the progress of jobs to their viewers in this process."""

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

LATEST_CACHE_SIZE = 10_000  # jobs whose latest progress is stored
QUEUE_SIZE = 64  # messages that a slow subscriber may lag behind; older ones are dropped


@dataclass
class WatchedJob:
    """A watched job: the queues of its subscribers, its last published position, and its cached view."""

    queues: set[asyncio.Queue[ProgressMessage]] = field(default_factory=set)
    position: tuple[str, int] | None = None
    view: asyncio.Future[Any] | None = None


class ProgressHub:
    """Distributes progress messages to the subscribers of each job, which also share one view of the job.

    Must only be used in the event loop's thread.
    """

    def __init__(self) -> None:
        self._watched: dict[str, WatchedJob] = {}
        self._latest: OrderedDict[str, ProgressMessage] = OrderedDict()

    def publish(self, progress: ProgressMessage) -> None:
        """Store the progress of a job and deliver it to the job's subscribers."""
        self._latest.pop(progress.job, None)
        if progress.state not in FINAL:
            self._latest[progress.job] = progress
            if len(self._latest) > LATEST_CACHE_SIZE:
                self._latest.popitem(last=False)
        if watched := self._watched.get(progress.job):
            self._deliver(watched, progress)

    def reconcile(self, job: str, tenant: str, state: State, attempt: int) -> None:
        """Publish the state in the ledger, if it differs from the last published one."""
        watched = self._watched.get(job)
        if watched is not None and watched.position != (state, attempt):
            self.publish(ProgressMessage(job=job, tenant=tenant, state=state, attempt=attempt, percent=0))

    def latest(self, job: str) -> ProgressMessage | None:
        """The latest progress of an unfinished job, if there is any."""
        return self._latest.get(job)

    def watched_jobs(self) -> list[str]:
        """The jobs with subscribers."""
        return list(self._watched)

    @contextmanager
    def subscribe(self, job: str) -> Iterator[asyncio.Queue[ProgressMessage]]:
        """Subscribe to the progress of a job."""
        queue: asyncio.Queue[ProgressMessage] = asyncio.Queue(QUEUE_SIZE)
        watched = self._watched.setdefault(job, WatchedJob())
        watched.queues.add(queue)
        try:
            yield queue
        finally:
            watched.queues.discard(queue)
            if not watched.queues:
                del self._watched[job]

    async def get_view(self, job: str, load: Callable[[], Awaitable[T]]) -> T:
        """The view of a watched job. It is loaded once after every change of state, for all subscribers."""
        watched = self._watched[job]
        if watched.view is None:
            watched.view = asyncio.ensure_future(load())
            watched.view.add_done_callback(_retrieve_exception)
        view: asyncio.Future[T] = watched.view
        try:
            return await asyncio.shield(view)
        except Exception:
            if watched.view is view:
                watched.view = None  # the next call retries
            raise

    @staticmethod
    def _deliver(watched: WatchedJob, progress: ProgressMessage) -> None:
        position = (progress.state, progress.attempt)
        if position != watched.position:
            watched.position, watched.view = position, None
        for queue in watched.queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(progress)


def _retrieve_exception(view: asyncio.Future[Any]) -> None:
    """Mark the exception as retrieved: it is raised in the callers that still wait."""
    if not view.cancelled():
        view.exception()


async def next_event(queue: asyncio.Queue[ProgressMessage], seconds: float) -> ProgressMessage | None:
    """The next progress message, or None after `seconds`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await queue.get()
    return None


async def wait_for_final_event(queue: asyncio.Queue[ProgressMessage], seconds: float) -> None:
    """Wait for a message with a final state, at most `seconds`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await queue.get()).state not in FINAL:
                pass
