"""Crash reports wait in files until the ledger has recorded them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tasks.database.migrate import migrate
from tasks.jobs import Claimed, Job, Ledger, LedgerUnavailable, Outcome, State, open_ledger
from tasks.settings import Settings
from workers.crash import crash_reports
from workers.crash.crash_reports import CrashReport
from workers.sandbox.causes import Cause

JOB = "0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10"
REPORT = CrashReport(
    JOB, "host", 7, 1_000.5, Cause.CRASH, "The process crashed in native code with SIGSEGV.", {"stage": "encode"}
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger whose job runs its first attempt, leased by pid 7 of `host`."""
    ledger = open_ledger(Settings(ledger_url=SecretStr(f"sqlite:///{tmp_path}/ledger.db")))
    migrate(ledger.database)
    job = Job(JOB, "acme", State.QUEUED, "sources/acme/x", "x.dxf", {}, created_at=1.0, updated_at=1.0)
    ledger.jobs.accept(job)
    assert isinstance(ledger.attempts.claim(job, lease_owner="host:7:99", now=2.0, lease=30), Claimed)
    yield ledger
    ledger.database.close()


def files(var: Path) -> list[str]:
    return sorted(path.name for path in (var / "crash-reports").iterdir())


def test_given_a_report_when_it_is_flushed_then_the_attempt_is_explained(tmp_path: Path, ledger: Ledger) -> None:
    crash_reports.write(tmp_path, REPORT)
    assert files(tmp_path) == [f"{JOB}.7.json"]

    assert crash_reports.flush(tmp_path, ledger) == 1

    assert files(tmp_path) == []
    (attempt,) = ledger.attempts.history(JOB)
    assert (attempt.outcome, attempt.cause, attempt.explanation) == (
        Outcome.CRASHED,
        "native-crash",
        REPORT.explanation,
    )
    assert (attempt.ended_at, attempt.facts) == (1_000.5, {"stage": "encode"})


def test_given_a_report_of_an_older_version_then_it_is_flushed_too(tmp_path: Path, ledger: Ledger) -> None:
    crash_reports.write(tmp_path, REPORT)
    (path,) = (tmp_path / "crash-reports").iterdir()
    path.write_text(
        json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != "facts"})
    )

    assert crash_reports.flush(tmp_path, ledger) == 1

    (attempt,) = ledger.attempts.history(JOB)
    assert (attempt.explanation, attempt.facts) == (REPORT.explanation, None)


def test_given_a_report_that_is_flushed_twice_then_it_counts_once(tmp_path: Path, ledger: Ledger) -> None:
    for _ in range(2):
        crash_reports.write(tmp_path, REPORT)
        crash_reports.flush(tmp_path, ledger)

    job = ledger.jobs.find(JOB)
    assert job is not None
    assert job.crashes == 1


def test_given_no_folder_then_nothing_is_flushed(tmp_path: Path, ledger: Ledger) -> None:
    assert crash_reports.flush(tmp_path / "never-made", ledger) == 0


def test_given_an_unavailable_ledger_then_reports_are_kept_for_the_next_flush(tmp_path: Path, ledger: Ledger) -> None:
    unavailable = open_ledger(Settings(ledger_url=SecretStr(f"sqlite:///{tmp_path}")))  # a directory
    crash_reports.write(tmp_path, REPORT)

    with pytest.raises(LedgerUnavailable):
        crash_reports.flush(tmp_path, unavailable)
    unavailable.database.close()

    assert files(tmp_path) == [f"{JOB}.7.json"]
    assert crash_reports.flush(tmp_path, ledger) == 1


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "{}", '{"cause": "boredom"}', '{"cause": "native-crash", "more": 1}', "\x00\ufffd"]
)
def test_given_an_unreadable_report_then_it_is_deleted_with_a_warning_and_the_others_are_flushed(
    tmp_path: Path, ledger: Ledger, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "crash-reports").mkdir()
    (tmp_path / "crash-reports" / "0-torn.json").write_text(text)
    crash_reports.write(tmp_path, REPORT)

    assert crash_reports.flush(tmp_path, ledger) == 1

    assert files(tmp_path) == []
    assert "The crash report 0-torn.json cannot be read and is deleted" in caplog.text


def test_given_a_partially_written_report_then_it_is_never_flushed(tmp_path: Path, ledger: Ledger) -> None:
    (tmp_path / "crash-reports").mkdir()
    (tmp_path / "crash-reports" / f".{JOB}.7.json.0a1b").write_text('{"job"')

    assert crash_reports.flush(tmp_path, ledger) == 0
