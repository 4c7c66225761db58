"""Why a child died, decided from its traces."""

from signal import Signals

import pytest

from workers.crash.causes import CRASH_SIGNALS, Cause, classify


def test_given_a_time_limit_that_ran_out_then_it_is_the_cause_whatever_the_signal() -> None:
    death = classify(-Signals.SIGKILL, oom_kills=1, time_limit=300)
    assert death.cause is Cause.TIME_LIMIT
    assert death.explanation == "It was still running after its time limit of 300 s."


def test_given_sigkill_and_a_kernel_that_counted_a_kill_then_memory_is_the_cause() -> None:
    death = classify(-Signals.SIGKILL, oom_kills=1)
    assert death.cause is Cause.OUT_OF_MEMORY
    assert death.explanation == "The kernel killed it: it needed more memory than its fence allows."


@pytest.mark.parametrize("number", [Signals.SIGKILL, Signals.SIGTERM, Signals.SIGHUP])
def test_given_a_signal_that_nothing_explains_then_somebody_else_is_to_blame(number: Signals) -> None:
    death = classify(-number)
    assert death.cause is Cause.KILLED
    assert not death.cause.job_at_fault
    assert death.explanation == f"It was killed from outside with {number.name}."


@pytest.mark.parametrize("number", sorted(CRASH_SIGNALS))
def test_given_a_fault_then_it_is_a_crash_even_if_a_neighbour_ran_out_of_memory(number: Signals) -> None:
    death = classify(-number, oom_kills=1)
    assert death.cause is Cause.CRASH
    assert death.cause.job_at_fault
    assert death.explanation == f"Native code crashed it with {number.name}."


def test_given_an_exit_code_then_native_code_left_by_itself() -> None:
    assert classify(7).explanation == "Native code left the process with exit code 7."
    assert classify(7).cause is Cause.CRASH


def test_given_a_signal_without_a_name_then_its_number_is_told() -> None:
    assert classify(-40).explanation == "It was killed from outside with signal 40."


def test_given_the_causes_then_being_killed_and_waiting_for_the_platform_are_not_the_job_s_fault() -> None:
    assert {cause for cause in Cause if not cause.job_at_fault} == {Cause.KILLED, Cause.LEDGER_UNAVAILABLE}
