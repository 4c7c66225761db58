"""Prometheus metrics of the fleet monitor."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, start_http_server

from tasks.observability.metrics import (
    TICKETS_GENERATION,
    TICKETS_GENERATION_SPREAD,
    TICKETS_KEY_AGE,
    TICKETS_LAST_RESULT,
    TICKETS_LAST_RUN,
    TICKETS_MISSING_KEYS,
    TICKETS_UP,
)
from workers.tickets.rotation import fleet_keyring, missing_keys, spread
from workers.tickets.rotator import RunReport


class TicketMetrics:
    """Metrics in a registry of their own. `clock` returns seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._up = TICKETS_UP.open(self.registry)
        self._generation = TICKETS_GENERATION.open(self.registry)
        self._missing_keys = TICKETS_MISSING_KEYS.open(self.registry)
        self._key_age = TICKETS_KEY_AGE.open(self.registry)
        self._spread = TICKETS_GENERATION_SPREAD.open(self.registry)
        self._last_result = TICKETS_LAST_RESULT.open(self.registry)
        self._last_run = TICKETS_LAST_RUN.open(self.registry)

    def serve(self, port: int) -> None:
        """Serve `/metrics` on loopback. Raises OSError if the port is in use."""
        start_http_server(port, "127.0.0.1", self.registry)

    def observe_status(self, report: RunReport) -> None:
        """Record the status of every node."""
        keyring = fleet_keyring(report.statuses)
        for gauge in (self._up, self._generation, self._missing_keys, self._key_age):
            gauge.clear()
        for node in (*report.unreachable, *report.failed):
            self._up.labels(node).set(0)
        for node, status in report.statuses.items():
            self._up.labels(node).set(1)
            self._generation.labels(node).set(status.generation)
            self._missing_keys.labels(node).set(missing_keys(status, keyring) if keyring else 0)
            if status.key_age is not None:
                self._key_age.labels(node).set(status.key_age)
        self._spread.set(spread(report.statuses))

    def observe_run(self, result: str) -> None:
        """Record the result of a run."""
        self._last_result.clear()
        self._last_result.labels(result).set(1)
        self._last_run.set(self._clock())
