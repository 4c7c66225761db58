"""Metrics of recently finished attempts."""

from collections.abc import Iterator, Sequence
from math import ceil

from prometheus_client.core import Metric

from tasks.jobs import RecentAttempts
from tasks.observability import metrics

# The metric of each fact that workers record (workers/runtime/resource_usage.py).
MEASURES = {
    "seconds": metrics.ATTEMPT_DURATION,
    "cpu_seconds": metrics.ATTEMPT_CPU_TIME,
    "peak_bytes": metrics.ATTEMPT_PEAK_MEMORY,
    "plan_error": metrics.ATTEMPT_PLAN_ERROR,
    "grown_bytes": metrics.ATTEMPT_MEMORY_GROWTH,
    "spilled_bytes": metrics.ATTEMPT_SPILLED,
    "descriptors": metrics.ATTEMPT_DESCRIPTOR_GROWTH,
}

# At most so many attempts are read: enough for the 0.99 quantile.
MAX_ATTEMPTS = 1_000

QUANTILES = (0.5, 0.9, 0.99, 1.0)


def attempt_metrics(ended: RecentAttempts) -> Iterator[Metric]:
    """Outcomes of attempts and quantiles of their resource usage; measures without values are omitted."""
    if ended.counts:
        yield metrics.ATTEMPTS.snapshot({(str(outcome), cause): n for (outcome, cause), n in ended.counts.items()})
    for name, metric in MEASURES.items():
        if values := sorted(facts[name] for facts in ended.facts if name in facts):
            yield metric.snapshot({(f"{share:g}",): quantile(values, share) for share in QUANTILES})


def quantile(values: Sequence[float], share: float) -> float:
    """The quantile of sorted values by the nearest-rank method."""
    return values[max(0, ceil(len(values) * share) - 1)]
