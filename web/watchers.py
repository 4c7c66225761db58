"""Who watches which job in this process, and how far each job is."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tasks.ledger import FINAL
from tasks.progress import Progress

REMEMBERED = 10_000  # jobs whose latest progress is kept
BACKLOG = 64  # messages that a slow watcher may lag behind; the oldest are dropped, the latest counts


class Watchers:
    """Fans progress out to asyncio queues. To be used in the event loop's thread only."""

    def __init__(self) -> None:
        self._queues: defaultdict[str, set[asyncio.Queue[Progress]]] = defaultdict(set)
        self._latest: OrderedDict[str, Progress] = OrderedDict()

    def tell(self, progress: Progress) -> None:
        """Remember the progress of a job and pass it on to those who watch it."""
        self._latest.pop(progress.job, None)
        if progress.state not in FINAL:
            self._latest[progress.job] = progress
            if len(self._latest) > REMEMBERED:
                self._latest.popitem(last=False)
        for queue in self._queues.get(progress.job, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(progress)

    def latest(self, job: str) -> Progress | None:
        """The last word about an unfinished job, if there was any."""
        return self._latest.get(job)

    @contextmanager
    def watch(self, job: str) -> Iterator[asyncio.Queue[Progress]]:
        """A queue of the job's progress from now on."""
        queue: asyncio.Queue[Progress] = asyncio.Queue(BACKLOG)
        self._queues[job].add(queue)
        try:
            yield queue
        finally:
            self._queues[job].discard(queue)
            if not self._queues[job]:
                del self._queues[job]


async def next_word(queue: asyncio.Queue[Progress], seconds: float) -> Progress | None:
    """The next message of a watched job, or None if there is none for so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await queue.get()
    return None


async def last_word(queue: asyncio.Queue[Progress], seconds: float) -> None:
    """Wait until a watched job is said to be settled, so many seconds at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await queue.get()).state not in FINAL:
                pass
