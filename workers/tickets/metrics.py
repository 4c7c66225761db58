"""What the watch tells Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, start_http_server

from tasks.observability.metrics import (
    TICKETS_AGE,
    TICKETS_BEHIND,
    TICKETS_GENERATION,
    TICKETS_RESULT,
    TICKETS_RUN,
    TICKETS_SPREAD,
    TICKETS_UP,
)
from workers.tickets.rotation import fleet, lacking, spread
from workers.tickets.rotator import Report


class TicketMetrics:
    """A registry of its own. `clock` is seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._up = TICKETS_UP.open(self.registry)
        self._generation = TICKETS_GENERATION.open(self.registry)
        self._behind = TICKETS_BEHIND.open(self.registry)
        self._age = TICKETS_AGE.open(self.registry)
        self._spread = TICKETS_SPREAD.open(self.registry)
        self._result = TICKETS_RESULT.open(self.registry)
        self._run = TICKETS_RUN.open(self.registry)

    def serve(self, port: int) -> None:
        """At `/metrics` on loopback. Raises OSError where the port is taken."""
        start_http_server(port, "127.0.0.1", self.registry)

    def looked(self, report: Report) -> None:
        """What every node is like."""
        ring = fleet(report.views)
        for gauge in (self._up, self._generation, self._behind, self._age):
            gauge.clear()
        for node in (*report.unreachable, *report.failed):
            self._up.labels(node).set(0)
        for node, view in report.views.items():
            self._up.labels(node).set(1)
            self._generation.labels(node).set(view.generation)
            self._behind.labels(node).set(lacking(view, ring) if ring else 0)
            if view.age is not None:
                self._age.labels(node).set(view.age)
        self._spread.set(spread(report.views))

    def ran(self, result: str) -> None:
        """What became of a run."""
        self._result.clear()
        self._result.labels(result).set(1)
        self._run.set(self._clock())
