"""What the parent notes of an end, and what billiard says about one is read into a status."""

import json
import os
import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from billiard.common import human_status

from tasks.settings import Settings
from workers.crash.causes import Cause, classify
from workers.crash.flight_recorder import record_attempt
from workers.runtime import request
from workers.runtime.lease_owner import current_owner
from workers.runtime.request import CrashReportingRequest, _exit_status


@pytest.mark.parametrize("status", [-9, -11, -15, -6, -64, 0, 1, 70, 155])
def test_an_end_is_read_from_billiards_own_words(status: int) -> None:
    assert _exit_status(f"Worker exited prematurely: {human_status(status)} Job: 12.") == status


def test_an_end_that_says_nothing_counts_as_killed_from_outside() -> None:
    assert _exit_status("Worker exited prematurely, and nobody knows why") == -9


@pytest.mark.parametrize(
    ("waits", "cause", "doing"),
    [(False, Cause.TIME_LIMIT, "drawing layer PIPES"), (True, Cause.LEDGER_UNAVAILABLE, "waiting for the ledger")],
)
def test_given_a_time_limit_that_ran_out_while_the_ledger_was_away_then_it_is_not_the_job_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: bool, cause: Cause, doing: str
) -> None:
    monkeypatch.setattr(request, "settings", lambda: Settings(var=tmp_path))
    killed = CrashReportingRequest.__new__(CrashReportingRequest)
    killed.id, killed.worker_pid, killed._kwargs = "job", os.getpid(), {}
    with record_attempt(tmp_path, current_owner(), job="job", attempt=2) as flight, ExitStack() as stack:
        flight.set_stage("draw", "PIPES")
        if waits:
            stack.enter_context(flight.waiting())
        killed._report_crash(classify(0, time_limit=2))

    [note] = (tmp_path / "crashes").glob("*.json")
    told = json.loads(note.read_text())
    assert told["cause"] == cause
    assert re.fullmatch(
        rf"Attempt 2 was stopped at its time limit of 2 s, at \d+ MB while {doing}\.", told["explanation"]
    )
