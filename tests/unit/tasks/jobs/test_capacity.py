"""Sizing the workers of a queue."""

import pytest

from tasks.jobs.capacity import MAX_UTILIZATION, ServiceTime, estimate_service_time, evaluate_workers, size_workers


def test_a_service_time_has_the_mean_and_the_relative_variance_of_the_durations() -> None:
    assert estimate_service_time([2.0, 2.0]) == ServiceTime(2.0, 0.0)
    assert estimate_service_time([1.0, 3.0]) == ServiceTime(2.0, 0.25)


@pytest.mark.parametrize(
    ("workers", "rate", "scv", "wait"),
    [
        (1, 0.5, 1.0, 7.824),  # M/M/1: ln(100 x 0.5) / (1 - 0.5)
        (1, 0.5, 0.0, 3.912),  # M/D/1: half of that
        (2, 1.0, 1.0, 3.507),  # Erlang's C is 1/3 for 2 workers and 1 erlang
        (200, 100.0, 1.0, 0.0),
    ],
)
def test_the_waiting_time_matches_the_textbook(workers: int, rate: float, scv: float, wait: float) -> None:
    assert evaluate_workers(workers, ServiceTime(1.0, scv), rate).max_wait == pytest.approx(wait, abs=1e-3)


def test_the_sizing_is_the_smallest_that_keeps_the_waiting_time() -> None:
    service_time = ServiceTime(0.4, 1.5)

    sizing = size_workers(service_time, rate=20, max_wait=1.0)

    assert sizing.max_wait <= 1.0
    assert evaluate_workers(sizing.workers - 1, service_time, 20).max_wait > 1.0
    assert sizing.utilization == pytest.approx(8 / sizing.workers)


def test_many_workers_are_busier_than_few_for_the_same_waiting_time_but_within_the_limit() -> None:
    small, large = (size_workers(ServiceTime(1.0, 1.0), rate, max_wait=1.0) for rate in (1.0, 9_900.0))

    assert small.utilization < 0.5
    assert large.utilization == pytest.approx(MAX_UTILIZATION, abs=1e-3)
    assert large.max_wait == 0


def test_too_few_workers_raise_a_value_error() -> None:
    with pytest.raises(ValueError, match="5 renders per second of 1 s each need more than 5 workers"):
        evaluate_workers(5, ServiceTime(1.0, 1.0), 5.0)
