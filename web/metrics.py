"""The metrics of the web server: what its processes count, and what each scrape reads."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks.observability.metrics import (
    EVENT_STREAMS,
    HTTP_REQUEST_DURATION,
    HTTP_REQUESTS,
    JOBS,
    QUEUE_MESSAGES_READY,
    SUBMISSIONS,
    UPLOADED_BYTES,
)
from web.attempt_metrics import AttemptMetrics

# Names the directory that the processes of a web server share (prometheus_client).
MULTIPROCESS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """The metrics of one application. Each has a registry of its own, so that a process can hold several."""

    def __init__(self, now: float | None = None) -> None:
        """Attempts that end after `now` (seconds since the epoch; the current time by default) are counted."""
        self.registry = CollectorRegistry()
        self.requests = HTTP_REQUESTS.open(self.registry)
        self.seconds = HTTP_REQUEST_DURATION.open(self.registry)
        self.submissions = SUBMISSIONS.open(self.registry)
        self.uploaded_bytes = UPLOADED_BYTES.open(self.registry)
        self.event_streams = EVENT_STREAMS.open(self.registry)
        shared = os.environ.get(MULTIPROCESS_DIRECTORY)
        since = time.time() if now is None else now
        self.attempts = AttemptMetrics(self.registry, since, Path(shared) if shared else None)

    def exposition(self, jobs: Mapping[str, int], queue_depths: Mapping[str, int]) -> bytes:
        """All metrics in Prometheus' text format, merged over the processes that share a directory.

        `jobs` (by state) and `queue_depths` (by queue) are read for each scrape; an empty mapping is omitted.
        """
        return generate_latest(self._process_registry()) + generate_latest(_CurrentValues(jobs, queue_depths))

    def _process_registry(self) -> CollectorRegistry:
        if MULTIPROCESS_DIRECTORY not in os.environ:
            return self.registry
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        return shared


@dataclass(frozen=True)
class _CurrentValues(Collector):
    """Gauges that are read for each scrape."""

    jobs: Mapping[str, int]
    queue_depths: Mapping[str, int]

    def collect(self) -> Iterator[Metric]:
        if self.jobs:
            yield JOBS.snapshot({(state,): count for state, count in self.jobs.items()})
        if self.queue_depths:
            yield QUEUE_MESSAGES_READY.snapshot({(queue,): depth for queue, depth in self.queue_depths.items()})


class RequestMetricsMiddleware:
    """ASGI middleware that counts requests and measures their duration, by route."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started_at = time.perf_counter()
        is_answered = False

        def count(status: int) -> None:
            nonlocal is_answered
            is_answered = True
            metrics: Metrics = scope["app"].state.services.metrics
            route = getattr(scope.get("route"), "path", "unknown")
            metrics.requests.labels(scope["method"], route, status).inc()
            metrics.seconds.labels(scope["method"], route).observe(time.perf_counter() - started_at)

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                count(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, measured)
        except Exception:
            if not is_answered:
                count(500)  # Starlette sends this response outside of all middleware
            raise
