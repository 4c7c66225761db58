"""What the attempts of the last minutes took, as metrics."""

from collections.abc import Iterator, Sequence
from math import ceil

from prometheus_client.core import Metric

from tasks.jobs import RecentAttempts
from tasks.observability import metrics

# The metric of each of the facts that workers note (workers/runtime/resource_usage.py).
MEASURES = {
    "seconds": metrics.ATTEMPT_DURATION,
    "cpu_seconds": metrics.ATTEMPT_CPU_TIME,
    "peak_bytes": metrics.ATTEMPT_PEAK_MEMORY,
    "plan_error": metrics.ATTEMPT_PLAN_ERROR,
    "memory_growth_bytes": metrics.ATTEMPT_MEMORY_GROWTH,
    "spilled_bytes": metrics.ATTEMPT_SPILLED,
    "descriptor_growth": metrics.ATTEMPT_DESCRIPTOR_GROWTH,
}

# Of so many attempts at most: enough for a quantile of 0.99.
MAX_ATTEMPTS = 1_000

QUANTILES = (0.5, 0.9, 0.99, 1.0)


def attempt_metrics(ended: RecentAttempts) -> Iterator[Metric]:
    """How attempts ended, and quantiles of what they took; a measure that nobody noted is left out."""
    if ended.counts:
        yield metrics.ATTEMPTS.snapshot({(str(outcome), cause): n for (outcome, cause), n in ended.counts.items()})
    for name, metric in MEASURES.items():
        if values := sorted(facts[name] for facts in ended.facts if name in facts):
            yield metric.snapshot({(f"{share:g}",): quantile(values, share) for share in QUANTILES})


def quantile(values: Sequence[float], share: float) -> float:
    """Of sorted values the least that is not below so large a share of them."""
    return values[max(0, ceil(len(values) * share) - 1)]
