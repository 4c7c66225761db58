"""How `bulkhead render` explains the death of its render process."""

import pytest

from cli.commands.render import ADVICE, explain_death
from workers.sandbox.causes import Cause, Death
from workers.sandbox.reports import Progress
from workers.sandbox.runner import ExitInfo, ProcessDied

MIB = 1024 * 1024
DEATH = Death(Cause.OUT_OF_MEMORY, "The kernel killed it: it needed more memory than its limit allows.")


def test_given_a_death_during_a_stage_then_stage_layer_memory_and_limit_are_named() -> None:
    exit_info = ExitInfo(-9, DEATH, seconds=3.21, cpu=2.5, resident=498 * MIB, peak=511 * MIB)
    last = Progress(percent=57, stage="encode", layer="P-PIPE-SUCT")
    assert explain_death(ProcessDied(exit_info, DEATH), last, 512 * MIB) == (
        "The render failed after 3.2 s. The kernel killed it: it needed more memory than its limit allows. It was in "
        "stage encode, layer P-PIPE-SUCT, 57 % done, and used 498 MiB of 512 MiB."
    )


def test_given_a_death_before_the_first_report_then_it_was_starting() -> None:
    exit_info = ExitInfo(-9, DEATH, seconds=0.2, cpu=0.1, resident=20 * MIB, peak=20 * MIB)
    explanation = explain_death(ProcessDied(exit_info, DEATH), Progress(percent=0, stage=""), 512 * MIB)
    assert "It was starting, 0 % done, and used 20 MiB of 512 MiB." in explanation


@pytest.mark.parametrize("cause", Cause)
def test_given_any_cause_then_there_is_advice(cause: Cause) -> None:
    assert ADVICE[cause].endswith(".")
