"""The parent's crash report, and parsing the exit status from billiard's text."""

import json
import os
import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from billiard.common import human_status
from celery.exceptions import WorkerLostError

from tasks.settings import Settings
from workers.crash.flight_recorder import record_attempt
from workers.runtime.extensions import request
from workers.runtime.extensions.request import CrashReportingRequest, _exit_status
from workers.sandbox.causes import Cause, classify
from workers.sandbox.process_identity import current_owner


@pytest.mark.parametrize("status", [-9, -11, -15, -6, -64, 0, 1, 70, 155])
def test_given_the_text_of_billiard_then_the_exit_status_is_parsed(status: int) -> None:
    assert _exit_status(f"Worker exited prematurely: {human_status(status)} Job: 12.") == status


def test_given_a_text_without_a_status_then_it_counts_as_a_kill_from_outside() -> None:
    assert _exit_status("Worker exited prematurely, and nobody knows why") == -9


@pytest.mark.parametrize(
    ("waits", "cause", "activity"),
    [(False, Cause.STARVED, "drawing layer PIPES"), (True, Cause.LEDGER_UNAVAILABLE, "waiting for the ledger")],
)
def test_given_a_time_limit_reached_while_waiting_for_the_ledger_then_it_is_not_the_job_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: bool, cause: Cause, activity: str
) -> None:
    monkeypatch.setattr(request, "settings", lambda: Settings(var=tmp_path))
    killed = CrashReportingRequest.__new__(CrashReportingRequest)
    killed.id, killed.worker_pid, killed._kwargs = "job", os.getpid(), {}
    with record_attempt(tmp_path, current_owner(), job="job", attempt=2) as recorder, ExitStack() as stack:
        recorder.set_stage("draw", "PIPES")
        if waits:
            stack.enter_context(recorder.waiting())
        killed._report_crash(classify(0, time_limit=2))

    [path] = (tmp_path / "crash-reports").glob("*.json")
    report = json.loads(path.read_text())
    assert report["cause"] == cause
    assert re.fullmatch(
        rf"Attempt 2 was stopped because its worker was still busy after 2 s, while {activity}\.", report["explanation"]
    )


def test_given_two_children_in_one_cgroup_then_a_kill_by_the_kernel_explains_one_of_their_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = 4
    monkeypatch.setattr(request, "settings", lambda: Settings(var=tmp_path))
    monkeypatch.setattr(request, "oom_kills", lambda: kills)
    lost = WorkerLostError(f"Worker exited prematurely: {human_status(-9)} Job: 12.")
    requests = []
    for pid in (101, 102):
        running = CrashReportingRequest.__new__(CrashReportingRequest)
        running.id, running.worker_pid, running._kwargs = f"job{pid}", pid, {}
        running._oom_kills_before = (kills, CrashReportingRequest._explained_oom_kills)
        requests.append(running)

    kills = 5
    for running in requests:
        running._report_lost_child(lost)

    paths = sorted((tmp_path / "crash-reports").glob("*.json"))
    assert [json.loads(path.read_text())["cause"] for path in paths] == [Cause.OUT_OF_MEMORY, Cause.KILLED]
