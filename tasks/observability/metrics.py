"""Every Prometheus metric of Bulkhead, declared once.

A process opens the metrics that it updates. The reference page is generated from this module, and a test checks the
alert rules and the dashboard against it. The linter forbids `prometheus_client`'s own classes anywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from tasks.utils.units import MIB

# Seconds. The intake aims to answer within 0.05.
REQUEST_DURATION_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

Values = Mapping[tuple[str, ...], float]
MultiprocessMode = Literal["livesum", "livemax", "livemostrecent"]


@dataclass(frozen=True)
class Metric:
    """A metric: its name in Prometheus, its help text and its labels."""

    kind: ClassVar[str]
    name: str
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class CounterMetric(Metric):
    """A value that only increases. Its name ends in `_total`."""

    kind: ClassVar[str] = "counter"

    def open(self, registry: CollectorRegistry) -> Counter:
        return Counter(self.name, self.help, self.labels, registry=registry)

    def snapshot(self, values: Values) -> CounterMetricFamily:
        """A sample of counts that are kept elsewhere. `values` are keyed by label values, in the order of `labels`."""
        family = CounterMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in values.items():
            family.add_metric(labels, value)
        return family


@dataclass(frozen=True)
class GaugeMetric(Metric):
    """A value that increases and decreases."""

    kind: ClassVar[str] = "gauge"

    def open(self, registry: CollectorRegistry, multiprocess_mode: MultiprocessMode = "livesum") -> Gauge:
        """`multiprocess_mode` says how the values of several processes are merged."""
        return Gauge(self.name, self.help, self.labels, registry=registry, multiprocess_mode=multiprocess_mode)

    def snapshot(self, values: Values) -> GaugeMetricFamily:
        """A sample of values read at this moment. `values` are keyed by label values, in the order of `labels`."""
        family = GaugeMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in values.items():
            family.add_metric(labels, value)
        return family


@dataclass(frozen=True)
class HistogramMetric(Metric):
    """Observations, counted by size."""

    kind: ClassVar[str] = "histogram"
    buckets: tuple[float, ...] = REQUEST_DURATION_BUCKETS

    def open(self, registry: CollectorRegistry) -> Histogram:
        return Histogram(self.name, self.help, self.labels, registry=registry, buckets=self.buckets)


# Web tier, at /metrics.
HTTP_REQUESTS = CounterMetric("bulkhead_http_requests_total", "HTTP requests answered.", ("method", "route", "status"))
HTTP_REQUEST_DURATION = HistogramMetric(
    "bulkhead_http_request_duration_seconds",
    "Time from the first byte of a request to the start of its response, seconds.",
    ("method", "route"),
)
SUBMISSIONS = CounterMetric("bulkhead_submissions_total", "Renders submitted, by outcome.", ("outcome",))
UPLOADED_BYTES = CounterMetric("bulkhead_uploaded_bytes_total", "Size of blueprints received, bytes.")
EVENT_STREAMS = GaugeMetric("bulkhead_event_streams", "Open event streams.")
JOBS = GaugeMetric("bulkhead_jobs", "Jobs in the ledger, by state.", ("state",))
QUEUE_MESSAGES_READY = GaugeMetric(
    "bulkhead_queue_messages_ready", "Messages in a queue that wait for a worker.", ("queue",)
)

# Finished attempts, read from the ledger by the web tier: worker children are too short-lived to be scraped.
ATTEMPTS = CounterMetric(
    "bulkhead_attempts_total",
    "Finished attempts, by outcome and cause; cause is empty unless the attempt crashed or was requeued.",
    ("outcome", "cause"),
)
ATTEMPT_DURATION = HistogramMetric(
    "bulkhead_attempt_duration_seconds",
    "Wall-clock time of finished attempts, seconds.",
    buckets=(0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0),
)
ATTEMPT_CPU_TIME = HistogramMetric(
    "bulkhead_attempt_cpu_seconds", "CPU time of finished attempts, seconds.", buckets=ATTEMPT_DURATION.buckets
)
ATTEMPT_PEAK_MEMORY = HistogramMetric(
    "bulkhead_attempt_peak_memory_bytes",
    "Peak resident memory of finished attempts, bytes.",
    buckets=tuple(float(size * MIB) for size in (64, 96, 128, 192, 256, 320, 384, 448, 512, 768, 1024, 2048, 4096)),
)
ATTEMPT_PLAN_ERROR = HistogramMetric(
    "bulkhead_attempt_plan_error_ratio",
    "Difference between peak and planned memory of finished attempts, as a ratio of the plan; negative if the plan "
    "was too high.",
    buckets=(-0.75, -0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5, 1.0, 2.0),
)
ATTEMPT_MEMORY_GROWTH = HistogramMetric(
    "bulkhead_attempt_memory_growth_bytes",
    "Memory that finished attempts left allocated, bytes.",
    buckets=(0.0, *(float(size * MIB) for size in (0.25, 1, 4, 8, 16, 32, 64, 128, 256, 512))),
)
ATTEMPT_SPILLED = HistogramMetric(
    "bulkhead_attempt_spilled_bytes",
    "Pixel cache that finished attempts left on disk, bytes.",
    buckets=(0.0, *(float(size * MIB) for size in (1, 16, 64, 256, 1024, 4096))),
)
ATTEMPT_DESCRIPTOR_GROWTH = HistogramMetric(
    "bulkhead_attempt_descriptor_growth",
    "File descriptors that finished attempts left open.",
    buckets=(0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0),
)

# Coalescer, at /metrics of BULKHEAD_HEARTBEATS_METRICS_PORT. All but the lag are updated when a window is written.
FLUSH_DURATION_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
HEARTBEATS_WRITTEN = CounterMetric("bulkhead_heartbeats_written_total", "Heartbeats written to the database.")
HEARTBEATS_REJECTED = CounterMetric(
    "bulkhead_heartbeats_rejected_total",
    "Heartbeats that were not counted, by reason: duplicate, clock-skew (too far in the future) or unknown-machine "
    "(the plant has too many). The reason malformed counts messages instead of heartbeats.",
    ("reason",),
)
HEARTBEATS_LAG = GaugeMetric(
    "bulkhead_heartbeats_lag_seconds", "Age of the oldest record that was read and not written yet, seconds."
)
HEARTBEATS_OFFSET = GaugeMetric(
    "bulkhead_heartbeats_offset", "Offset of the last record that was written, by partition.", ("partition",)
)
FLUSH_DURATION = HistogramMetric(
    "bulkhead_heartbeats_flush_duration_seconds",
    "Time to write a window, retries included, seconds.",
    buckets=FLUSH_DURATION_BUCKETS,
)
FLUSH_MACHINES = GaugeMetric("bulkhead_heartbeats_flush_machines", "Machines in the last window.")
FLUSH_REJECTED_ROWS = CounterMetric(
    "bulkhead_heartbeats_rejected_rows_total", "Rows of machines that the database rejected."
)
FLUSH_RETRIES = CounterMetric("bulkhead_heartbeats_flush_retries_total", "Retries of writing a window.")

# `bulkhead tickets watch`, at /metrics of BULKHEAD_TICKETS_METRICS_PORT on loopback. Updated at each check.
TICKETS_UP = GaugeMetric("bulkhead_tickets_up", "1 if the node answers and its keyring is valid, else 0.", ("node",))
TICKETS_GENERATION = GaugeMetric(
    "bulkhead_tickets_generation",
    "Generation of a node's keyring; 0 if the node generated it itself.",
    ("node",),
)
TICKETS_MISSING_KEYS = GaugeMetric("bulkhead_tickets_missing_keys", "Ticket keys that a node lacks, 0 to 3.", ("node",))
TICKETS_KEY_AGE = GaugeMetric(
    "bulkhead_tickets_key_age_seconds", "Age of a node's newest ticket key, seconds.", ("node",)
)
TICKETS_GENERATION_SPREAD = GaugeMetric(
    "bulkhead_tickets_generation_spread",
    "Rotations between the newest and the oldest keyring of the fleet; from 2 on, some sessions cannot be resumed.",
)
TICKETS_LAST_RESULT = GaugeMetric(
    "bulkhead_tickets_last_result", "1 for the result of the last rotation run.", ("result",)
)
TICKETS_LAST_RUN = GaugeMetric(
    "bulkhead_tickets_last_run_timestamp_seconds", "End of the last run, seconds since the epoch."
)


def all_metrics() -> list[Metric]:
    """All metrics of this module, in order of declaration."""
    return [each for each in globals().values() if isinstance(each, Metric)]
