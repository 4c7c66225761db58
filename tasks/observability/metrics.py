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
REQUEST_DURATION_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

Values = Mapping[tuple[str, ...], float]
MultiprocessMode = Literal["livesum", "livemax", "livemostrecent"]


@dataclass(frozen=True)
class Metric:
    """Name as Prometheus shows it, what it tells, and its labels in order."""

    kind: ClassVar[str]
    name: str
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class CounterMetric(Metric):
    """Only grows while its process lives. The name ends in `_total`."""

    kind: ClassVar[str] = "counter"

    def open(self, registry: CollectorRegistry) -> Counter:
        return Counter(self.name, self.help, self.labels, registry=registry)

    def snapshot(self, values: Values) -> CounterMetricFamily:
        """What somebody else counts, read at this moment. `values` by labels, in their order."""
        family = CounterMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in values.items():
            family.add_metric(labels, value)
        return family


@dataclass(frozen=True)
class GaugeMetric(Metric):
    """Goes up and down."""

    kind: ClassVar[str] = "gauge"

    def open(self, registry: CollectorRegistry, multiprocess_mode: MultiprocessMode = "livesum") -> Gauge:
        """`merging` says how the values of several processes become one."""
        return Gauge(self.name, self.help, self.labels, registry=registry, multiprocess_mode=multiprocess_mode)

    def snapshot(self, values: Values) -> GaugeMetricFamily:
        """What nobody keeps, read at this moment. `values` by labels, in their order."""
        family = GaugeMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in values.items():
            family.add_metric(labels, value)
        return family


@dataclass(frozen=True)
class HistogramMetric(Metric):
    """Counts observations by size."""

    kind: ClassVar[str] = "histogram"
    buckets: tuple[float, ...] = REQUEST_DURATION_BUCKETS

    def open(self, registry: CollectorRegistry) -> Histogram:
        return Histogram(self.name, self.help, self.labels, registry=registry, buckets=self.buckets)


# The web tier, at /metrics.
HTTP_REQUESTS = CounterMetric("bulkhead_http_requests_total", "Requests answered.", ("method", "route", "status"))
HTTP_REQUEST_DURATION = HistogramMetric(
    "bulkhead_http_request_duration_seconds",
    "From the first byte of a request to the start of its answer.",
    ("method", "route"),
)
SUBMISSIONS = CounterMetric("bulkhead_submissions_total", "Renders asked for, by what became of them.", ("outcome",))
UPLOADED_BYTES = CounterMetric("bulkhead_uploaded_bytes_total", "Bytes of blueprints received.")
EVENT_STREAMS = GaugeMetric("bulkhead_event_streams", "Event streams that are open.")
JOBS = GaugeMetric("bulkhead_jobs", "Jobs in the ledger.", ("state",))
QUEUE_MESSAGES_READY = GaugeMetric("bulkhead_queue_messages_ready", "Messages that wait for a worker.", ("queue",))

# What the last attempts took, looked up in the ledger: workers come and go, and show no page of their own.
RECENT_WINDOW = 300.0  # seconds
ATTEMPTS = GaugeMetric(
    "bulkhead_attempts_total",
    "Attempts that ended within five minutes, by how and why (`cause` is empty where a job came to its own end).",
    ("outcome", "cause"),
)
ATTEMPT_DURATION = GaugeMetric(
    "bulkhead_attempt_duration_seconds",
    "What the latest attempts within five minutes took by the clock.",
    ("quantile",),
)
ATTEMPT_CPU_TIME = GaugeMetric("bulkhead_attempt_cpu_seconds", "The same of the processor.", ("quantile",))
ATTEMPT_PEAK_MEMORY = GaugeMetric(
    "bulkhead_attempt_peak_memory_bytes", "Their peaks of resident memory.", ("quantile",)
)
ATTEMPT_PLAN_ERROR = GaugeMetric(
    "bulkhead_attempt_plan_error_ratio",
    "By what share of the plan the peak was above (below: negative).",
    ("quantile",),
)
ATTEMPT_MEMORY_GROWTH = GaugeMetric(
    "bulkhead_attempt_memory_growth_bytes", "Live memory that they left behind.", ("quantile",)
)
ATTEMPT_SPILLED = GaugeMetric("bulkhead_attempt_spilled_bytes", "Pixels on disk that they left behind.", ("quantile",))
ATTEMPT_DESCRIPTOR_GROWTH = GaugeMetric(
    "bulkhead_attempt_descriptor_growth", "Open files that they left behind.", ("quantile",)
)

# The coalescer, at /metrics of BULKHEAD_HEARTBEATS_METRICS_PORT: all but the lag told when a window is written.
FLUSH_DURATION_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
HEARTBEATS_WRITTEN = CounterMetric("bulkhead_heartbeats_written_total", "Heartbeats that are in the table.")
HEARTBEATS_REJECTED = CounterMetric(
    "bulkhead_heartbeats_rejected_total",
    "Rejected heartbeats: counted before (`duplicate`), ahead of time (`clock-skew`) or of a machine beyond the limit "
    "(`unknown-machine`); and messages that cannot be parsed (`malformed`).",
    ("reason",),
)
HEARTBEATS_LAG = GaugeMetric(
    "bulkhead_heartbeats_lag_seconds", "Age of the oldest record that was read and is not in the table yet."
)
HEARTBEATS_OFFSET = GaugeMetric(
    "bulkhead_heartbeats_offset", "Offset of the last record that is in the table.", ("partition",)
)
FLUSH_DURATION = HistogramMetric(
    "bulkhead_heartbeats_flush_duration_seconds",
    "What writing a window took, retries included.",
    buckets=FLUSH_DURATION_BUCKETS,
)
FLUSH_MACHINES = GaugeMetric("bulkhead_heartbeats_flush_machines", "Machines of the last window.")
FLUSH_REJECTED_ROWS = CounterMetric(
    "bulkhead_heartbeats_rejected_rows_total", "Machines that the database refused to write."
)
FLUSH_RETRIES = CounterMetric("bulkhead_heartbeats_flush_retries_total", "Tries of a window after the first one.")

# `bulkhead tickets watch`, at /metrics of BULKHEAD_TICKETS_METRICS_PORT on loopback: told at every look.
TICKETS_UP = GaugeMetric("bulkhead_tickets_up", "Whether a node gives the rotator a sound answer.", ("node",))
TICKETS_GENERATION = GaugeMetric(
    "bulkhead_tickets_generation", "Generation of a node's ring of ticket keys; 0 is one of its own.", ("node",)
)
TICKETS_MISSING_KEYS = GaugeMetric("bulkhead_tickets_missing_keys", "Ticket keys that a node lacks, 0 to 3.", ("node",))
TICKETS_KEY_AGE = GaugeMetric(
    "bulkhead_tickets_key_age_seconds", "For how long a node's newest key is there.", ("node",)
)
TICKETS_GENERATION_SPREAD = GaugeMetric(
    "bulkhead_tickets_generation_spread", "Rotations between the nodes; from 2 on sessions do not go on everywhere."
)
TICKETS_LAST_RESULT = GaugeMetric(
    "bulkhead_tickets_last_result", "1 for what became of the watch's last run.", ("result",)
)
TICKETS_LAST_RUN = GaugeMetric("bulkhead_tickets_last_run_timestamp_seconds", "When the watch's last run ended.")


def all_metrics() -> list[Metric]:
    """All of the above, in their order."""
    return [each for each in globals().values() if isinstance(each, Metric)]
