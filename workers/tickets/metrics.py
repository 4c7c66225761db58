"""What the watch tells Prometheus."""

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
    """A registry of its own. `clock` is seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._up = TICKETS_UP.open(self.registry)
        self._generation = TICKETS_GENERATION.open(self.registry)
        self._behind = TICKETS_MISSING_KEYS.open(self.registry)
        self._age = TICKETS_KEY_AGE.open(self.registry)
        self._spread = TICKETS_GENERATION_SPREAD.open(self.registry)
        self._result = TICKETS_LAST_RESULT.open(self.registry)
        self._run = TICKETS_LAST_RUN.open(self.registry)

    def serve(self, port: int) -> None:
        """At `/metrics` on loopback. Raises OSError where the port is taken."""
        start_http_server(port, "127.0.0.1", self.registry)

    def observe_status(self, report: RunReport) -> None:
        """What every node is like."""
        ring = fleet_keyring(report.statuses)
        for gauge in (self._up, self._generation, self._behind, self._age):
            gauge.clear()
        for node in (*report.unreachable, *report.failed):
            self._up.labels(node).set(0)
        for node, view in report.statuses.items():
            self._up.labels(node).set(1)
            self._generation.labels(node).set(view.generation)
            self._behind.labels(node).set(missing_keys(view, ring) if ring else 0)
            if view.key_age is not None:
                self._age.labels(node).set(view.key_age)
        self._spread.set(spread(report.statuses))

    def observe_run(self, result: str) -> None:
        """What became of a run."""
        self._result.clear()
        self._result.labels(result).set(1)
        self._run.set(self._clock())
