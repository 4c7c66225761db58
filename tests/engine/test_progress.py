"""Progress: weighted, never falling, and reported on changes only."""

from hypothesis import given
from hypothesis import strategies as st

from workers.render.progress import ProgressReporter, Stage, Step

WEIGHTS: dict[Stage, float] = {"plan": 1, "open": 4, "draw": 4, "compose": 1}


def _watched() -> tuple[ProgressReporter, list[Step]]:
    steps: list[Step] = []
    return ProgressReporter(steps.append, WEIGHTS), steps


def test_given_weights_when_a_stage_is_half_done_then_the_percentage_is_its_share() -> None:
    progress, steps = _watched()

    progress.update("draw", 0.5, "PIPES")

    assert steps == [Step(70, "draw", "PIPES")]


def test_given_the_same_step_twice_when_reported_then_it_is_sent_once() -> None:
    progress, steps = _watched()

    progress.update("open", 0.101)
    progress.update("open", 0.102)

    assert len(steps) == 1


@given(st.lists(st.tuples(st.sampled_from(list(WEIGHTS)), st.floats(-1, 2))))
def test_given_any_order_of_stages_when_reported_then_the_percentage_never_falls(
    calls: list[tuple[Stage, float]],
) -> None:
    progress, steps = _watched()

    for stage, fraction in calls:
        progress.update(stage, fraction)

    percents = [step.percent for step in steps]
    assert percents == sorted(percents)
    assert all(0 <= percent <= 100 for percent in percents)
