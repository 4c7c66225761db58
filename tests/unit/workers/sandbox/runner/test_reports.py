"""What a body reports and returns, and what of it arrives."""

from pathlib import Path

import psutil
import pytest

from tests.unit.workers.sandbox.support import Sandbox
from workers.sandbox.reports import Progress
from workers.sandbox.runner import BodyFailed, ProcessDied
from workers.sandbox.zygote.protocol import MAX_ARGUMENTS


def test_given_a_body_that_reports_when_it_succeeds_then_all_reports_arrive_in_order(sandbox: Sandbox) -> None:
    outcome = sandbox.run("report_many", {"count": 1000})

    assert (outcome.exit_info.status, outcome.exit_info.death) == (0, None)
    assert [progress.layer for progress in sandbox.progress] == [str(number) for number in range(1000)]


def test_given_lines_that_are_no_reports_then_they_are_ignored(sandbox: Sandbox) -> None:
    outcome = sandbox.run("report_nonsense")

    assert outcome.exit_info.death is None
    assert sandbox.progress == [Progress(percent=2, stage="draw")]


def test_given_arguments_then_the_body_receives_them_and_its_result_comes_back(sandbox: Sandbox) -> None:
    arguments = {"text": "Ä€" * 1000, "numbers": [1, 2.5, None], "nested": {"true": True}}
    assert sandbox.run("echo", arguments).value() == arguments


def test_given_a_body_that_returns_nothing_then_its_result_is_empty(sandbox: Sandbox) -> None:
    assert sandbox.run("return_nothing").value() == {}


def test_given_too_many_arguments_then_they_are_refused_with_their_size(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match=f"more than {MAX_ARGUMENTS}"):
        sandbox.run("echo", {"text": "x" * MAX_ARGUMENTS})


def test_given_a_body_that_raises_our_error_then_its_code_and_message_arrive(sandbox: Sandbox) -> None:
    outcome = sandbox.run("raise_on_purpose")

    assert outcome.exit_info.death is None
    with pytest.raises(BodyFailed, match=r"^The drawing is unwelcome\.$") as caught:
        outcome.value()
    assert (caught.value.code, caught.value.traceback) == ("unwelcome", "")


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("raise_unexpectedly", "internal-error", "It failed with an unexpected KeyError."),
        ("return_unserializable", "internal-error", "It failed with an unexpected TypeError."),
        ("return_too_much", "internal-error", "It failed with an unexpected ValueError."),
        ("no_such_body", "internal-error", "It failed with an unexpected AttributeError."),
        ("raise_memory_error", "out-of-memory", "cache"),
    ],
)
def test_given_a_body_with_a_bug_then_the_failure_says_which(
    sandbox: Sandbox, body: str, code: str, message: str
) -> None:
    with pytest.raises(BodyFailed) as caught:
        sandbox.run(body).value()

    assert (caught.value.code, caught.value.message) == (code, message)
    assert ("Traceback" in caught.value.traceback) is (code == "internal-error")


def test_given_a_body_that_died_then_its_result_raises_the_explanation(sandbox: Sandbox) -> None:
    with pytest.raises(ProcessDied, match="crashed in native code with SIGABRT") as caught:
        sandbox.run("abort").value()
    assert caught.value.exit_info.status == -6


def test_given_a_working_directory_that_is_missing_then_the_error_names_it(sandbox: Sandbox) -> None:
    missing = Sandbox(sandbox.zygote, Path("/no-such-directory"))
    with pytest.raises(FileNotFoundError, match="no-such-directory"):
        missing.run("echo")


def test_given_a_source_that_is_missing_then_the_error_names_it_and_no_descriptor_stays_open(sandbox: Sandbox) -> None:
    before = psutil.Process().num_fds()
    with pytest.raises(FileNotFoundError, match="no-such-source"):
        sandbox.run("echo", sources=(Path("/no-such-source"),))
    assert psutil.Process().num_fds() == before


def test_given_an_unknown_program_then_the_failure_names_the_error(sandbox: Sandbox) -> None:
    with pytest.raises(BodyFailed, match="FileNotFoundError"):
        sandbox.run("", command=("/no-such-program",)).value()
