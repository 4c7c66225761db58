"""What `bulkhead render` says about a child that died."""

import pytest

from cli.commands.render import ADVICE, explain_death
from workers.crash.causes import Cause, Death
from workers.sandbox.child import ExitInfo

MIB = 1024 * 1024
DEATH = Death(Cause.OUT_OF_MEMORY, "The kernel killed it: it needed more memory than its fence allows.")


def test_given_a_child_that_died_at_work_then_stage_layer_size_and_limit_are_told() -> None:
    ending = ExitInfo(-9, DEATH, seconds=3.21, resident=498 * MIB, peak=511 * MIB)
    last = {"percent": 57, "stage": "encode", "layer": "P-PIPE-SUCT"}
    assert explain_death(ending, last, 512 * MIB) == (
        "The render ended after 3.2 s. The kernel killed it: it needed more memory than its fence allows. It was in "
        "stage encode, layer P-PIPE-SUCT, 57 % done, with 498 MiB resident of 512 MiB allowed."
    )


def test_given_a_child_that_died_before_its_first_report_then_it_was_starting() -> None:
    ending = ExitInfo(-9, DEATH, seconds=0.2, resident=20 * MIB, peak=20 * MIB)
    assert "It was starting, 0 % done, with 20 MiB resident" in explain_death(ending, {}, 512 * MIB)


@pytest.mark.parametrize("cause", Cause)
def test_given_any_cause_then_there_is_advice_what_to_do_next(cause: Cause) -> None:
    assert ADVICE[cause].endswith(".")
