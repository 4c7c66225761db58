"""How many workers a lane needs."""

import pytest

from tasks.jobs.capacity import MOST_BUSY, Work, crew_for, crew_of, work_of


def test_the_spread_of_measured_renders_counts_with_their_mean() -> None:
    assert work_of([2.0, 2.0]) == Work(2.0, 0.0)
    assert work_of([1.0, 3.0]) == Work(2.0, 0.25)


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
    assert crew_of(workers, Work(1.0, scv), rate).wait == pytest.approx(wait, abs=1e-3)


def test_the_crew_asked_for_is_the_smallest_that_keeps_the_promise() -> None:
    work = Work(0.4, 1.5)

    crew = crew_for(work, rate=20, wait=1.0)

    assert crew.wait <= 1.0
    assert crew_of(crew.workers - 1, work, 20).wait > 1.0
    assert crew.busy == pytest.approx(8 / crew.workers)


def test_a_large_crew_is_busier_for_the_same_promise_but_has_time_to_spare() -> None:
    small, large = (crew_for(Work(1.0, 1.0), rate, wait=1.0) for rate in (1.0, 9_900.0))

    assert small.busy < 0.5
    assert large.busy == pytest.approx(MOST_BUSY, abs=1e-3)
    assert large.wait == 0


def test_workers_that_cannot_keep_up_are_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="5 renders a second of 1 s keep more than 5 workers busy"):
        crew_of(5, Work(1.0, 1.0), 5.0)
