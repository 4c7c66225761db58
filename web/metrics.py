"""Every metric of the web tier, in one place."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LATENCY_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds; the promise is 0.05


class Metrics:
    """A registry of its own, so that several apps may live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "bulkhead_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "bulkhead_http_request_seconds",
            "From the first byte of a request to the start of its answer.",
            ["method", "route"],
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.submissions = Counter(
            "bulkhead_submissions", "Renders asked for, by what became of them.", ["outcome"], registry=self.registry
        )
        self.uploaded = Counter("bulkhead_uploaded_bytes", "Bytes of blueprints received.", registry=self.registry)
        self.watching = Gauge(
            "bulkhead_watchers", "Event streams that are open.", registry=self.registry, multiprocess_mode="livesum"
        )

    def exposition(self, jobs: Mapping[str, int], waiting: Mapping[str, int]) -> bytes:
        """Everything in Prometheus' text format: of all processes that share a directory, if they do.

        `jobs` in the ledger by state, and messages `waiting` for a worker by lane, are looked up for each answer; what
        is empty is left out.
        """
        return generate_latest(self._counted()) + generate_latest(_Looked(jobs, waiting))

    def _counted(self) -> CollectorRegistry:
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return self.registry
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        return shared


@dataclass(frozen=True)
class _Looked(Collector):
    """Gauges of this moment, which no process keeps."""

    jobs: Mapping[str, int]
    waiting: Mapping[str, int]

    def collect(self) -> Iterator[Metric]:
        if self.jobs:
            states = GaugeMetricFamily("bulkhead_jobs", "Jobs in the ledger.", labels=["state"])
            for state, count in self.jobs.items():
                states.add_metric([state], count)
            yield states
        if self.waiting:
            depths = GaugeMetricFamily("bulkhead_queue_waiting", "Messages that wait for a worker.", labels=["queue"])
            for queue, count in self.waiting.items():
                depths.add_metric([queue], count)
            yield depths


class MeasuredRequests:
    """ASGI middleware that counts and times requests by route."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                metrics: Metrics = scope["app"].state.services.metrics
                route = getattr(scope.get("route"), "path", "unknown")
                metrics.requests.labels(scope["method"], route, message["status"]).inc()
                metrics.seconds.labels(scope["method"], route).observe(time.perf_counter() - begun)
            await send(message)

        await self.app(scope, receive, measured)
