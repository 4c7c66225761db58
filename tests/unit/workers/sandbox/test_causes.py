"""Classifying the end of a child."""

from signal import Signals

import pytest

from workers.sandbox.causes import CRASH_SIGNALS, STOP_SIGNALS, Cause, classify, classify_confined


def test_given_celery_s_time_limit_then_the_worker_was_too_slow_whatever_the_signal() -> None:
    death = classify(-Signals.SIGKILL, oom_kills=1, time_limit=300)
    assert death.cause is Cause.STARVED
    assert death.explanation == "The attempt was stopped because its worker was still busy after 300 s."


def test_given_sigkill_and_an_oom_kill_then_the_cause_is_out_of_memory() -> None:
    death = classify(-Signals.SIGKILL, oom_kills=1)
    assert death.cause is Cause.OUT_OF_MEMORY
    assert death.explanation == "The kernel killed the process because it exceeded its memory limit."


@pytest.mark.parametrize("number", [Signals.SIGKILL, Signals.SIGTERM, Signals.SIGHUP])
def test_given_an_unexplained_signal_then_it_was_killed_from_outside(number: Signals) -> None:
    death = classify(-number)
    assert death.cause is Cause.KILLED
    assert not death.cause.job_at_fault
    assert death.explanation == f"The process was killed from outside with {number.name}."


@pytest.mark.parametrize("number", sorted(CRASH_SIGNALS))
def test_given_a_crash_signal_then_it_is_a_crash_even_if_a_neighbour_was_out_of_memory(number: Signals) -> None:
    death = classify(-number, oom_kills=1)
    assert death.cause is Cause.CRASH
    assert death.cause.job_at_fault
    assert death.explanation == f"The process crashed in native code with {number.name}."


def test_given_an_exit_code_then_native_code_ended_the_process() -> None:
    assert classify(7).explanation == "Native code ended the process with exit code 7."
    assert classify(7).cause is Cause.CRASH


def test_given_a_signal_without_a_name_then_the_explanation_has_its_number() -> None:
    assert classify(-40).explanation == "The process was killed from outside with signal 40."


def test_given_a_file_over_its_size_limit_then_the_cause_is_a_quota() -> None:
    death = classify(-Signals.SIGXFSZ)
    assert death.cause is Cause.QUOTA
    assert death.explanation == "The process wrote a file of more than its size limit."


def test_given_all_causes_then_neither_a_kill_nor_a_slow_host_nor_the_ledger_is_the_job_s_fault() -> None:
    blameless = {Cause.KILLED, Cause.STARVED, Cause.LEDGER_UNAVAILABLE}
    assert {cause for cause in Cause if not cause.job_at_fault} == blameless


@pytest.mark.parametrize("number", [Signals.SIGALRM, Signals.SIGPIPE, Signals.SIGUSR1, Signals.SIGSEGV])
def test_given_a_confined_process_that_ends_itself_then_the_job_is_at_fault(number: Signals) -> None:
    death = classify_confined(-number)
    assert death.cause is Cause.CRASH
    assert "from outside" not in death.explanation


@pytest.mark.parametrize("number", sorted(STOP_SIGNALS))
def test_given_a_confined_process_with_a_signal_that_it_cannot_send_then_it_was_killed_from_outside(
    number: Signals,
) -> None:
    assert classify_confined(-number).cause is Cause.KILLED
