"""Death notes wait in files until the ledger has been told."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tasks.database.migrate import migrate
from tasks.jobs import Claimed, Job, Ledger, LedgerUnavailable, Outcome, State, open_ledger
from tasks.settings import Settings
from workers.crash import crash_reports
from workers.crash.causes import Cause
from workers.crash.crash_reports import CrashReport

JOB = "0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10"
NOTE = CrashReport(JOB, "host", 7, 1_000.5, Cause.CRASH, "Native code crashed it with SIGSEGV.", {"stage": "encode"})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger whose job is at its first attempt, held by pid 7 of `host`."""
    ledger = open_ledger(Settings(ledger_url=SecretStr(f"sqlite:///{tmp_path}/ledger.db")))
    migrate(ledger.database)
    job = Job(JOB, "acme", State.QUEUED, "sources/acme/x", "x.dxf", {}, created_at=1.0, updated_at=1.0)
    ledger.jobs.accept(job)
    assert isinstance(ledger.attempts.claim(job, lease_owner="host:7:99", now=2.0, lease=30), Claimed)
    yield ledger
    ledger.database.close()


def left(var: Path) -> list[str]:
    return sorted(path.name for path in (var / "crashes").iterdir())


def test_a_note_carried_explains_the_attempt_and_is_gone(tmp_path: Path, ledger: Ledger) -> None:
    crash_reports.write(tmp_path, NOTE)
    assert left(tmp_path) == [f"{JOB}.7.json"]

    assert crash_reports.flush(tmp_path, ledger) == 1

    assert left(tmp_path) == []
    (attempt,) = ledger.attempts.history(JOB)
    assert (attempt.outcome, attempt.cause, attempt.explanation) == (Outcome.CRASHED, "native-crash", NOTE.explanation)
    assert (attempt.ended_at, attempt.facts) == (1_000.5, {"stage": "encode"})


def test_a_note_that_an_older_version_left_is_carried_too(tmp_path: Path, ledger: Ledger) -> None:
    crash_reports.write(tmp_path, NOTE)
    (path,) = (tmp_path / "crashes").iterdir()
    path.write_text(
        json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != "facts"})
    )

    assert crash_reports.flush(tmp_path, ledger) == 1

    (attempt,) = ledger.attempts.history(JOB)
    assert (attempt.explanation, attempt.facts) == (NOTE.explanation, None)


def test_a_note_carried_twice_counts_once(tmp_path: Path, ledger: Ledger) -> None:
    for _ in range(2):
        crash_reports.write(tmp_path, NOTE)
        crash_reports.flush(tmp_path, ledger)

    job = ledger.jobs.find(JOB)
    assert job is not None
    assert job.crashes == 1


def test_without_notes_or_their_folder_nothing_is_carried(tmp_path: Path, ledger: Ledger) -> None:
    assert crash_reports.flush(tmp_path / "never-made", ledger) == 0


def test_given_a_ledger_that_is_away_then_the_notes_stay_for_the_next_time(tmp_path: Path, ledger: Ledger) -> None:
    nowhere = open_ledger(Settings(ledger_url=SecretStr(f"sqlite:///{tmp_path}/empty.db")))
    crash_reports.write(tmp_path, NOTE)

    with pytest.raises(LedgerUnavailable):
        crash_reports.flush(tmp_path, nowhere)
    nowhere.database.close()

    assert left(tmp_path) == [f"{JOB}.7.json"]
    assert crash_reports.flush(tmp_path, ledger) == 1


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "{}", '{"cause": "boredom"}', '{"cause": "native-crash", "more": 1}', "\x00\ufffd"]
)
def test_a_note_that_cannot_be_read_is_dropped_with_a_warning_and_holds_up_nobody(
    tmp_path: Path, ledger: Ledger, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "crashes").mkdir()
    (tmp_path / "crashes" / "0-torn.json").write_text(text)
    crash_reports.write(tmp_path, NOTE)

    assert crash_reports.flush(tmp_path, ledger) == 1

    assert left(tmp_path) == []
    assert "The death note 0-torn.json cannot be read and is dropped" in caplog.text


def test_a_note_half_written_is_never_carried(tmp_path: Path, ledger: Ledger) -> None:
    (tmp_path / "crashes").mkdir()
    (tmp_path / "crashes" / f".{JOB}.7").write_text('{"job"')

    assert crash_reports.flush(tmp_path, ledger) == 0
