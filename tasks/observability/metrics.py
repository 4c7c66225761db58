"""Every metric that Bulkhead shows to Prometheus, declared once.

Who counts opens a metric from here, the reference page (docs/metrics.md) lists them, and the alert rules are held
against them. The linter refuses `prometheus_client`'s own classes anywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

# Seconds; the intake promises an answer within 0.05.
REQUEST_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

Values = Mapping[tuple[str, ...], float]
Merging = Literal["livesum", "livemax", "livemostrecent"]


@dataclass(frozen=True)
class Declared:
    """Name as Prometheus shows it, what it tells, and its labels in order."""

    kind: ClassVar[str]
    name: str
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class CounterMetric(Declared):
    """Only grows while its process lives. The name ends in `_total`."""

    kind: ClassVar[str] = "counter"

    def open(self, registry: CollectorRegistry) -> Counter:
        return Counter(self.name, self.help, self.labels, registry=registry)

    def looked_up(self, values: Values) -> CounterMetricFamily:
        """What somebody else counts, read at this moment. `values` by labels, in their order."""
        family = CounterMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in values.items():
            family.add_metric(labels, value)
        return family


@dataclass(frozen=True)
class GaugeMetric(Declared):
    """Goes up and down."""

    kind: ClassVar[str] = "gauge"

    def open(self, registry: CollectorRegistry, merging: Merging = "livesum") -> Gauge:
        """`merging` says how the values of several processes become one."""
        return Gauge(self.name, self.help, self.labels, registry=registry, multiprocess_mode=merging)

    def looked_up(self, values: Values) -> GaugeMetricFamily:
        """What nobody keeps, read at this moment. `values` by labels, in their order."""
        family = GaugeMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in values.items():
            family.add_metric(labels, value)
        return family


@dataclass(frozen=True)
class HistogramMetric(Declared):
    """Counts observations by size."""

    kind: ClassVar[str] = "histogram"
    buckets: tuple[float, ...] = REQUEST_BUCKETS

    def open(self, registry: CollectorRegistry) -> Histogram:
        return Histogram(self.name, self.help, self.labels, registry=registry, buckets=self.buckets)


# The web tier, at /metrics.
HTTP_REQUESTS = CounterMetric("bulkhead_http_requests_total", "Requests answered.", ("method", "route", "status"))
HTTP_SECONDS = HistogramMetric(
    "bulkhead_http_request_seconds",
    "From the first byte of a request to the start of its answer.",
    ("method", "route"),
)
SUBMISSIONS = CounterMetric("bulkhead_submissions_total", "Renders asked for, by what became of them.", ("outcome",))
UPLOADED = CounterMetric("bulkhead_uploaded_bytes_total", "Bytes of blueprints received.")
WATCHERS = GaugeMetric("bulkhead_watchers", "Event streams that are open.")
JOBS = GaugeMetric("bulkhead_jobs", "Jobs in the ledger.", ("state",))
QUEUE_WAITING = GaugeMetric("bulkhead_queue_waiting", "Messages that wait for a worker.", ("queue",))

# What the last attempts took, looked up in the ledger: workers come and go, and show no page of their own.
RECENT = 300.0  # seconds
ATTEMPTS = GaugeMetric(
    "bulkhead_attempts_recent",
    "Attempts that ended within five minutes, by how and why (`cause` is empty where a job came to its own end).",
    ("outcome", "cause"),
)
ATTEMPT_SECONDS = GaugeMetric(
    "bulkhead_attempt_seconds", "What the latest attempts within five minutes took by the clock.", ("quantile",)
)
ATTEMPT_CPU = GaugeMetric("bulkhead_attempt_cpu_seconds", "The same of the processor.", ("quantile",))
ATTEMPT_PEAK = GaugeMetric("bulkhead_attempt_peak_bytes", "Their peaks of resident memory.", ("quantile",))
ATTEMPT_PLAN = GaugeMetric(
    "bulkhead_attempt_plan_error", "By what share of the plan the peak was above (below: negative).", ("quantile",)
)
ATTEMPT_GROWN = GaugeMetric("bulkhead_attempt_grown_bytes", "Live memory that they left behind.", ("quantile",))
ATTEMPT_SPILLED = GaugeMetric("bulkhead_attempt_spilled_bytes", "Pixels on disk that they left behind.", ("quantile",))
ATTEMPT_OPEN = GaugeMetric("bulkhead_attempt_descriptors", "Open files that they left behind.", ("quantile",))

# The coalescer, at /metrics of BULKHEAD_COALESCER_METRICS_PORT: all but the lag told when a window is written.
FLUSH_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
BEATS = CounterMetric("bulkhead_heartbeats_beats_total", "Heartbeats that are in the table.")
BEATS_LEFT_OUT = CounterMetric(
    "bulkhead_heartbeats_left_out_total",
    "Heartbeats that are not counted: they were before (`repeated`), are ahead of time (`future`) or of a machine too "
    "many (`stranger`); and messages that are none (`malformed`).",
    ("reason",),
)
BEATS_LAG = GaugeMetric(
    "bulkhead_heartbeats_lag_seconds", "Age of the oldest record that was read and is not in the table yet."
)
BEATS_POSITION = GaugeMetric(
    "bulkhead_heartbeats_position", "Offset of the last record that is in the table.", ("partition",)
)
FLUSH_SECONDS = HistogramMetric(
    "bulkhead_heartbeats_flush_seconds", "What writing a window took, retries included.", buckets=FLUSH_BUCKETS
)
FLUSH_MACHINES = GaugeMetric("bulkhead_heartbeats_flush_machines", "Machines of the last window.")
FLUSH_REFUSED = CounterMetric("bulkhead_heartbeats_refused_rows_total", "Machines that the database refused to write.")
FLUSH_RETRIES = CounterMetric("bulkhead_heartbeats_flush_retries_total", "Tries of a window after the first one.")

# `bulkhead tickets watch`, at /metrics of BULKHEAD_TICKETS_METRICS_PORT on loopback: told at every look.
TICKETS_UP = GaugeMetric("bulkhead_tickets_up", "Whether a node gives the rotator a sound answer.", ("node",))
TICKETS_GENERATION = GaugeMetric(
    "bulkhead_tickets_generation", "Generation of a node's ring of ticket keys; 0 is one of its own.", ("node",)
)
TICKETS_BEHIND = GaugeMetric("bulkhead_tickets_behind", "Ticket keys that a node lacks, 0 to 3.", ("node",))
TICKETS_AGE = GaugeMetric("bulkhead_tickets_age_seconds", "For how long a node's newest key is there.", ("node",))
TICKETS_SPREAD = GaugeMetric(
    "bulkhead_tickets_spread", "Rotations between the nodes; from 2 on sessions do not go on everywhere."
)
TICKETS_RESULT = GaugeMetric("bulkhead_tickets_last_result", "1 for what became of the watch's last run.", ("result",))
TICKETS_RUN = GaugeMetric("bulkhead_tickets_last_run_timestamp_seconds", "When the watch's last run ended.")


def declared() -> list[Declared]:
    """All of the above, in their order."""
    return [each for each in globals().values() if isinstance(each, Declared)]
