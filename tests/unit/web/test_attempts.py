"""Attempts of the last minutes as metrics."""

import pytest
from prometheus_client.core import Metric

from tasks.jobs import Outcome, RecentAttempts
from web.attempts import attempt_metrics, quantile


def shown(ended: RecentAttempts) -> dict[str, Metric]:
    return {metric.name: metric for metric in attempt_metrics(ended)}


def test_given_attempts_that_ended_then_they_are_told_by_outcome_and_cause() -> None:
    counts = {(Outcome.SUCCEEDED, ""): 7, (Outcome.CRASHED, "out-of-memory"): 2}
    samples = shown(RecentAttempts(counts, []))["bulkhead_attempts_total"].samples
    assert {(one.labels["outcome"], one.labels["cause"]): one.value for one in samples} == {
        ("succeeded", ""): 7,
        ("crashed", "out-of-memory"): 2,
    }


def test_given_facts_then_each_measure_has_its_quantiles_and_one_that_nobody_noted_is_left_out() -> None:
    found = shown(
        RecentAttempts({}, [{"peak_bytes": 100 * n, "seconds": 0.5} for n in range(1, 101)] + [{"seconds": 1.5}])
    )
    assert set(found) == {"bulkhead_attempt_peak_memory_bytes", "bulkhead_attempt_duration_seconds"}
    peaks = {one.labels["quantile"]: one.value for one in found["bulkhead_attempt_peak_memory_bytes"].samples}
    assert peaks == {"0.5": 5000, "0.9": 9000, "0.99": 9900, "1": 10000}
    assert found["bulkhead_attempt_duration_seconds"].samples[-1].value == 1.5


def test_given_nothing_then_nothing_is_told() -> None:
    assert shown(RecentAttempts({}, [])) == {}


@pytest.mark.parametrize(("share", "least"), [(0.5, 2), (0.9, 3), (1.0, 3), (0.01, 1)])
def test_a_quantile_is_one_of_the_values(share: float, least: float) -> None:
    assert quantile([1, 2, 3], share) == least
