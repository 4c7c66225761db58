"""Metrics of the web server: those that its processes collect, and those that are read at each scrape."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks.jobs import RecentAttempts
from tasks.observability.metrics import (
    EVENT_STREAMS,
    HTTP_REQUEST_DURATION,
    HTTP_REQUESTS,
    JOBS,
    QUEUE_MESSAGES_READY,
    SUBMISSIONS,
    UPLOADED_BYTES,
)
from web.attempts import attempt_metrics


class Metrics:
    """Metrics in a registry of their own, so that one process can run several applications."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = HTTP_REQUESTS.open(self.registry)
        self.seconds = HTTP_REQUEST_DURATION.open(self.registry)
        self.submissions = SUBMISSIONS.open(self.registry)
        self.uploaded_bytes = UPLOADED_BYTES.open(self.registry)
        self.event_streams = EVENT_STREAMS.open(self.registry)

    def exposition(self, jobs: Mapping[str, int], waiting: Mapping[str, int], ended: RecentAttempts | None) -> bytes:
        """Everything in Prometheus' text format: of all processes that share a directory, if they do.

        `jobs` in the ledger by state, messages `waiting` for a worker by lane, and attempts that `ended` within
        `tasks.observability.metrics.RECENT` are looked up for each answer; what is empty is left out.
        """
        return generate_latest(self._process_registry()) + generate_latest(_CurrentValues(jobs, waiting, ended))

    def _process_registry(self) -> CollectorRegistry:
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return self.registry
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        return shared


@dataclass(frozen=True)
class _CurrentValues(Collector):
    """Values that are read at each scrape."""

    jobs: Mapping[str, int]
    waiting: Mapping[str, int]
    ended: RecentAttempts | None

    def collect(self) -> Iterator[Metric]:
        if self.jobs:
            yield JOBS.snapshot({(state,): count for state, count in self.jobs.items()})
        if self.waiting:
            yield QUEUE_MESSAGES_READY.snapshot({(queue,): count for queue, count in self.waiting.items()})
        if self.ended:
            yield from attempt_metrics(self.ended)


class RequestMetricsMiddleware:
    """ASGI middleware that measures requests by route."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        answered = False

        def count(status: int) -> None:
            nonlocal answered
            answered = True
            metrics: Metrics = scope["app"].state.services.metrics
            route = getattr(scope.get("route"), "path", "unknown")
            metrics.requests.labels(scope["method"], route, status).inc()
            metrics.seconds.labels(scope["method"], route).observe(time.perf_counter() - begun)

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                count(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, measured)
        except Exception:
            if not answered:
                count(500)  # Starlette sends this response outside of all middleware
            raise
