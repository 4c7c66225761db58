"""What the coalescer tells Prometheus: counted when a window is written, served from a thread of its own."""

import time
from collections.abc import Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, start_http_server

from tasks.observability.metrics import (
    BEATS,
    BEATS_LAG,
    BEATS_LEFT_OUT,
    BEATS_POSITION,
    FLUSH_MACHINES,
    FLUSH_REFUSED,
    FLUSH_RETRIES,
    FLUSH_SECONDS,
)
from workers.heartbeats.sink import Flush, Flushed


class Observer(Protocol):
    """Who hears of every window that was written."""

    def wrote(self, flush: Flush, flushed: Flushed, left_out: Mapping[str, int]) -> None:
        """How it went, and how many beats or messages were left out, by the reason."""

    def waits(self, since: float | None) -> None:
        """When the broker took the oldest record that was read and is not in the table; None if all are."""


class Unobserved:
    """Nobody."""

    def wrote(self, flush: Flush, flushed: Flushed, left_out: Mapping[str, int]) -> None:
        pass

    def waits(self, since: float | None) -> None:
        pass


UNOBSERVED = Unobserved()


class Metrics:
    """A registry of its own, at `/metrics` of `port` on every address once it is served."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._beats = BEATS.open(self.registry)
        self._left_out = BEATS_LEFT_OUT.open(self.registry)
        self._waits_since: float | None = None
        BEATS_LAG.open(self.registry).set_function(self._lag)  # it grows also while nothing can be written
        self._position = BEATS_POSITION.open(self.registry)
        self._seconds = FLUSH_SECONDS.open(self.registry)
        self._machines = FLUSH_MACHINES.open(self.registry)
        self._refused = FLUSH_REFUSED.open(self.registry)
        self._retries = FLUSH_RETRIES.open(self.registry)

    def serve(self, port: int) -> None:
        """Raises OSError where the port is taken."""
        start_http_server(port, registry=self.registry)

    def wrote(self, flush: Flush, flushed: Flushed, left_out: Mapping[str, int]) -> None:
        self._beats.inc(flush.beats)
        for reason, count in left_out.items():
            self._left_out.labels(reason).inc(count)
        for partition, position in flush.after.items():
            self._position.labels(partition).set(position.offset)
        self._seconds.observe(flushed.seconds)
        self._machines.set(len(flush.machines))
        self._refused.inc(flushed.refused)
        self._retries.inc(flushed.retries)

    def waits(self, since: float | None) -> None:
        self._waits_since = since

    def _lag(self) -> float:
        since = self._waits_since
        return 0.0 if since is None else max(0.0, time.time() - since)
