"""Services of the web server, opened once per process and injected into every request."""

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

WRITE_THREADS = 4  # concurrent blocking calls; more would only compete for the GIL and for SQLite's single writer
READ_THREADS = 2  # concurrent blocking reads; they have a pool of their own so that polling cannot starve uploads
RENDERED_CACHE_SIZE = 1_000  # succeeded renders in the cache
RENDERED_CACHE_TTL = 5.0  # seconds
OUTPUT_CACHE_BYTES = 32 << 20  # small outputs, so that hundreds of viewers of a drawing cost the store one read
MAX_BACKLOG = 200  # calls that may wait for a thread; more would wait for seconds, so they are rejected with a 503
INSPECT_TIMEOUT = 1.0  # seconds that workers have to reply

P = ParamSpec("P")
T = TypeVar("T")


class JobPublisher(Protocol):
    """The part of `tasks.messaging.publisher.Publisher` that the web server uses."""

    def publish(self, task: str, job_id: str, message: dict[str, Any], *, queue: str | None = None) -> None: ...
    def queue_depth(self, queue: str) -> int: ...


class HeartbeatSink(Protocol):
    """The part of `tasks.heartbeats.HeartbeatPublisher` that the web server uses."""

    def publish(self, body: bytes) -> None: ...


@dataclass(frozen=True)
class Services:
    """Ledger, store, publishers, and caches between requests. `readings` is None without Redis."""

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
        """Run a blocking call in the write pool."""
        return await anyio.to_thread.run_sync(lambda: work(*args, **kwargs), limiter=self.write_threads)

    async def run_read(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call in the read pool, so that polling cannot starve uploads."""
        return await anyio.to_thread.run_sync(lambda: work(*args, **kwargs), limiter=self.read_threads)

    def check_backlog(self) -> None:
        """Raise a 503 problem if too many calls wait for the write pool."""
        if self.write_threads.statistics().tasks_waiting >= MAX_BACKLOG:
            raise unavailable("overloaded", "The server is overloaded. Try again in a moment.")


@contextmanager
def open_services(settings: Settings) -> Iterator[Services]:
    """Open the services. They connect on first use, so this works while broker and ledger are unavailable."""
    publisher = Publisher(celery, settings.publish_timeout)
    heartbeats = HeartbeatPublisher(celery, settings.publish_timeout)
    dead_letters = DeadLetters(celery, settings.publish_timeout)
    store = open_store(settings.store_url)
    worker_stats = WorkerStatsCache(partial(inspect_workers, celery, INSPECT_TIMEOUT))
    ledger = open_ledger(settings)
    admission = AdmissionController(publisher.queue_depth, settings.queue_limit)
    readings = RedisReadings(settings.redis_url.get_secret_value()) if settings.redis_url else None
    try:
        yield Services(settings, ledger, store, publisher, admission, heartbeats, dead_letters, worker_stats, readings)
    finally:
        publisher.close()
        heartbeats.close()
        dead_letters.close()
        ledger.database.close()


async def get_services(request: Request) -> Services:
    """The services of the application that handles this request."""
    return cast("Services", request.app.state.services)


ServicesDep = Annotated[Services, Depends(get_services)]
