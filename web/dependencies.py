"""What the web tier works with, opened once a process and handed to every request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, ParamSpec, Protocol, TypeVar, cast

import anyio
from cachetools import LRUCache, TTLCache
from fastapi import Depends, Request

from tasks import app as celery
from tasks.heartbeats import HeartbeatPublisher
from tasks.jobs import Job, Ledger, open_ledger
from tasks.jobs.replay import DeadLetterDeleter
from tasks.messaging.dead_letters import DeadLetters
from tasks.messaging.inspect_workers import inspect_workers
from tasks.messaging.publisher import Publisher
from tasks.settings import Settings
from tasks.storage import Store, open_store
from web.metrics import Metrics
from web.problems import unavailable
from web.progress.hub import ProgressHub
from web.readings.redis_readings import RedisReadings
from web.submit.admission import AdmissionController
from web.worker_stats_cache import WorkerStatsCache

WRITE_THREADS = 4  # blocking calls at once: more of them only fight for the interpreter and for SQLite's one writer
READ_THREADS = 2  # the same for whoever looks on; calls of theirs never hold up a drawing that is sent
RENDERED_CACHE_SIZE = 1_000  # renders that have succeeded and are looked at
RENDERED_CACHE_TTL = 5.0  # seconds
OUTPUT_CACHE_BYTES = (
    32 << 20
)  # bytes of small outputs, so that hundreds who look at one drawing cost the store one look
MAX_BACKLOG = (
    200  # calls that may wait for a thread; those beyond would wait for seconds and are better told to come back
)
INSPECT_TIMEOUT = 1.0  # seconds that workers have to say that they are there

P = ParamSpec("P")
T = TypeVar("T")


class JobPublisher(Protocol):
    """The part of `tasks.messaging.publisher.Publisher` that the web tier uses."""

    def publish(self, task: str, job_id: str, message: dict[str, Any], *, queue: str | None = None) -> None: ...
    def queue_depth(self, queue: str) -> int: ...


class HeartbeatSink(Protocol):
    """The part of `tasks.heartbeats.HeartbeatPublisher` that the web tier uses."""

    def publish(self, body: bytes) -> None: ...


@dataclass(frozen=True)
class Services:
    """Ledger, store, publishers and what is remembered between requests. Without a Redis there are no sensors."""

    settings: Settings
    ledger: Ledger
    store: Store
    publisher: JobPublisher
    admission: AdmissionController
    heartbeats: HeartbeatSink
    dead_letters: DeadLetterDeleter
    worker_stats: WorkerStatsCache
    readings: RedisReadings | None = None
    metrics: Metrics = field(default_factory=Metrics)
    progress_hub: ProgressHub = field(default_factory=ProgressHub)
    rendered_jobs: TTLCache[str, Job] = field(default_factory=lambda: TTLCache(RENDERED_CACHE_SIZE, RENDERED_CACHE_TTL))
    output_cache: LRUCache[str, bytes] = field(default_factory=lambda: LRUCache(OUTPUT_CACHE_BYTES, getsizeof=len))
    clock: Callable[[], float] = time.time
    write_threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(WRITE_THREADS))
    read_threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(READ_THREADS))

    async def run_write(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run blocking `work` in a thread, so that the event loop never waits."""
        return await anyio.to_thread.run_sync(lambda: work(*args, **kwargs), limiter=self.write_threads)

    async def run_read(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for `work` that only reads: hundreds who look on wait for each other, and nobody for them."""
        return await anyio.to_thread.run_sync(lambda: work(*args, **kwargs), limiter=self.read_threads)

    def check_backlog(self) -> None:
        """Raises a 503 problem while more waits for a thread than is done in a second or two."""
        if self.write_threads.statistics().tasks_waiting >= MAX_BACKLOG:
            raise unavailable("busy", "More is asked of this server than it can do: try again in a moment.")


@contextmanager
def open_services(settings: Settings) -> Iterator[Services]:
    """The real services; connections are made on first use, so this works while broker and ledger are away."""
    publisher = Publisher(celery, settings.publish_timeout)
    beats = HeartbeatPublisher(celery, settings.publish_timeout)
    letters = DeadLetters(celery, settings.publish_timeout)
    store = open_store(settings.store_url)
    roll = WorkerStatsCache(partial(inspect_workers, celery, INSPECT_TIMEOUT))
    ledger = open_ledger(settings)
    gate = AdmissionController(publisher.queue_depth, settings.queue_limit)
    sensors = RedisReadings(settings.redis_url.get_secret_value()) if settings.redis_url else None
    try:
        yield Services(settings, ledger, store, publisher, gate, beats, letters, roll, sensors)
    finally:
        publisher.close()
        beats.close()
        letters.close()
        ledger.database.close()


async def get_services(request: Request) -> Services:
    """The services of the app that got this request."""
    return cast("Services", request.app.state.services)


ServicesDep = Annotated[Services, Depends(get_services)]
