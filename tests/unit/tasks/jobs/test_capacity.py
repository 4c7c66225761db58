"""How many workers a lane needs."""

import pytest

from tasks.jobs.capacity import MAX_UTILIZATION, ServiceTime, estimate_service_time, evaluate_workers, size_workers


def test_the_spread_of_measured_renders_counts_with_their_mean() -> None:
    assert estimate_service_time([2.0, 2.0]) == ServiceTime(2.0, 0.0)
    assert estimate_service_time([1.0, 3.0]) == ServiceTime(2.0, 0.25)


@pytest.mark.parametrize(
    ("workers", "rate", "scv", "wait"),
    [
        (1, 0.5, 1.0, 7.824),  # M/M/1: ln(100 x 0.5) / (1 - 0.5)
        (1, 0.5, 0.0, 3.912),  # M/D/1: half of it
        (2, 1.0, 1.0, 3.507),  # Erlang's C of 2 workers and 1 erlang is 1/3
        (200, 100.0, 1.0, 0.0),
    ],
)
def test_the_wait_is_that_of_textbooks(workers: int, rate: float, scv: float, wait: float) -> None:
    assert evaluate_workers(workers, ServiceTime(1.0, scv), rate).max_wait == pytest.approx(wait, abs=1e-3)


def test_the_crew_asked_for_is_the_smallest_that_keeps_the_promise() -> None:
    work = ServiceTime(0.4, 1.5)

    crew = size_workers(work, rate=20, max_wait=1.0)

    assert crew.max_wait <= 1.0
    assert evaluate_workers(crew.workers - 1, work, 20).max_wait > 1.0
    assert crew.utilization == pytest.approx(8 / crew.workers)


def test_a_large_crew_is_busier_for_the_same_promise_but_has_time_to_spare() -> None:
    small, large = (size_workers(ServiceTime(1.0, 1.0), rate, max_wait=1.0) for rate in (1.0, 9_900.0))

    assert small.utilization < 0.5
    assert large.utilization == pytest.approx(MAX_UTILIZATION, abs=1e-3)
    assert large.max_wait == 0


def test_workers_that_cannot_keep_up_are_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="5 renders a second of 1 s keep more than 5 workers busy"):
        evaluate_workers(5, ServiceTime(1.0, 1.0), 5.0)
