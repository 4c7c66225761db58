"""Every metric of ticket keys, in one place."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from workers.tickets.rotation import fleet, lacking, spread
from workers.tickets.rotator import Report


class TicketMetrics:
    """A registry of its own. `clock` is seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._up = self._gauge("up", "Whether the node answers the rotator.", "node")
        self._generation = self._gauge("generation", "Generation of the node's ring; 0 is one of its own.", "node")
        self._behind = self._gauge("behind", "Keys that the node lacks, 0 to 3.", "node")
        self._age = self._gauge("age_seconds", "For how long the node's newest key has been there.", "node")
        self._spread = self._gauge("spread", "Rotations between the nodes; at 2 sessions do not go on everywhere.")
        self._result = self._gauge("last_result", "1 for what became of the last run.", "result")
        self._run = self._gauge("last_run_timestamp_seconds", "When the last run ended.")

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

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"bulkhead_tickets_{name}", text, labels, registry=self.registry)
