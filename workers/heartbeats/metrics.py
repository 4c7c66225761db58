"""Prometheus metrics of the coalescer: updated when a window is written, served from a thread of their own."""

import time
from collections.abc import Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, start_http_server

from tasks.observability.metrics import (
    FLUSH_DURATION,
    FLUSH_MACHINES,
    FLUSH_REJECTED_ROWS,
    FLUSH_RETRIES,
    HEARTBEATS_LAG,
    HEARTBEATS_OFFSET,
    HEARTBEATS_REJECTED,
    HEARTBEATS_WRITTEN,
)
from workers.heartbeats.sink import Flush, FlushResult


class Observer(Protocol):
    """Receives the result of every window that was written."""

    def observe_flush(self, flush: Flush, result: FlushResult, rejected: Mapping[str, int]) -> None:
        """Record a flush, and the number of beats or messages that were rejected, by reason."""

    def set_oldest_unwritten(self, since: float | None) -> None:
        """Set when the broker received the oldest record that was read and is not in the table; None if all are."""


class NullObserver:
    """Records nothing."""

    def observe_flush(self, flush: Flush, result: FlushResult, rejected: Mapping[str, int]) -> None:
        pass

    def set_oldest_unwritten(self, since: float | None) -> None:
        pass


NULL_OBSERVER = NullObserver()


class CoalescerMetrics:
    """Metrics in a registry of their own; `serve` exposes it at `/metrics` on every address."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._beats = HEARTBEATS_WRITTEN.open(self.registry)
        self._rejected = HEARTBEATS_REJECTED.open(self.registry)
        self._unwritten_since: float | None = None
        HEARTBEATS_LAG.open(self.registry).set_function(self._lag)  # grows even while nothing can be written
        self._offset = HEARTBEATS_OFFSET.open(self.registry)
        self._duration = FLUSH_DURATION.open(self.registry)
        self._machines = FLUSH_MACHINES.open(self.registry)
        self._rejected_rows = FLUSH_REJECTED_ROWS.open(self.registry)
        self._retries = FLUSH_RETRIES.open(self.registry)

    def serve(self, port: int) -> None:
        """Start the server on `port`. Raises OSError if the port is in use."""
        start_http_server(port, registry=self.registry)

    def observe_flush(self, flush: Flush, result: FlushResult, rejected: Mapping[str, int]) -> None:
        self._beats.inc(flush.beats)
        for reason, count in rejected.items():
            self._rejected.labels(reason).inc(count)
        for partition, position in flush.after.items():
            self._offset.labels(partition).set(position.offset)
        self._duration.observe(result.seconds)
        self._machines.set(len(flush.machines))
        self._rejected_rows.inc(result.rejected_rows)
        self._retries.inc(result.retries)

    def set_oldest_unwritten(self, since: float | None) -> None:
        self._unwritten_since = since

    def _lag(self) -> float:
        since = self._unwritten_since
        return 0.0 if since is None else max(0.0, time.time() - since)
