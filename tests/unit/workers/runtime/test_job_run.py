"""One attempt from claim to its end, on a real SQLite ledger with nobody to tell progress to."""

import errno
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import Reject
from pydantic import SecretStr

from tasks.database.migrate import migrate
from tasks.jobs import Claimed, Job, LedgerUnavailable, Outcome, State, open_ledger
from tasks.messaging.progress import ProgressMessage
from tasks.messaging.topology import LARGE
from tasks.settings import Settings
from tasks.storage import StoreError, open_store
from workers.crash.causes import Cause
from workers.crash.crash_reports import CrashReport, write
from workers.runtime import context as bench_module
from workers.runtime import job_run as module
from workers.runtime.context import WorkerContext
from workers.runtime.job_run import JobError, JobRun, Requeue, Result, run_job, wait_for_ledger
from workers.runtime.lease_owner import current_owner, host_id, start_time

ID = "0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10"
JOB = Job(ID, "acme", State.QUEUED, "sources/acme/x", "", {}, created_at=1.0, updated_at=1.0)


class Teller:
    """Remembers what was told."""

    def __init__(self) -> None:
        self.told: list[ProgressMessage] = []

    def tell(self, progress: ProgressMessage) -> None:
        self.told.append(progress)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[WorkerContext]:
    settings = Settings(
        ledger_url=SecretStr(f"sqlite:///{tmp_path}/ledger.db"),
        store_url=str(tmp_path / "store"),
        var=tmp_path / "var",
        lease=1,
    )
    ledger = open_ledger(settings)
    migrate(ledger.database)
    yield WorkerContext(settings, ledger, open_store(settings.store_url), Teller(), current_owner())  # type: ignore[arg-type]
    ledger.database.close()


def job_of(bench: WorkerContext) -> Job:
    job = bench.ledger.jobs.find(JOB.id)
    assert job is not None
    return job


def ends(bench: WorkerContext) -> list[tuple[Outcome, str | None]]:
    return [(one.outcome, one.cause) for one in bench.ledger.attempts.history(JOB.id)]


def raising(error: Exception) -> Any:
    def work(_running: JobRun) -> Result:
        raise error

    return work


def done(_running: JobRun) -> Result:
    return Result("a" * 64, {"seconds": 1})


def test_work_that_is_done_settles_the_job_and_is_told(bench: WorkerContext) -> None:
    run_job(bench, JOB, done)

    assert (job_of(bench).state, job_of(bench).artifact) == (State.SUCCEEDED, "a" * 64)
    assert [(told.state, told.percent) for told in bench.progress_publisher.told] == [("succeeded", 100)]  # type: ignore[attr-defined]


def test_what_an_attempt_took_and_left_behind_is_in_the_ledger(bench: WorkerContext) -> None:
    leaked = []

    def work(running: JobRun) -> Result:
        running.record_plan(digest="0" * 64, size=1, plan={"peak_bytes": 2**40})
        leaked.append(bytearray(b"x") * (32 * 1024**2))
        return done(running)

    run_job(bench, JOB, work)

    facts = bench.ledger.attempts.history(JOB.id)[0].facts
    assert facts is not None
    assert set(facts) == {
        *("seconds", "cpu_seconds", "peak_bytes", "planned_bytes", "plan_error"),
        *("grown_bytes", "spilled_bytes", "descriptors"),
        *("heap_bytes", "pixel_bytes", "open_files", "engine"),
    }
    assert facts["grown_bytes"] > 24 * 1024**2
    assert facts["plan_error"] == pytest.approx(facts["peak_bytes"] / 2**40 - 1, abs=0.001)


def test_no_record_is_left_of_an_attempt_that_ended_by_itself(bench: WorkerContext) -> None:
    run_job(bench, JOB, done)

    assert list((bench.settings.var / "flights").iterdir()) == []


def test_a_job_that_cannot_be_done_fails_for_good_and_its_message_is_acknowledged(bench: WorkerContext) -> None:
    run_job(bench, JOB, raising(JobError("truncated", "The drawing ends in the middle.")))

    assert job_of(bench).state is State.FAILED
    assert job_of(bench).error == {"code": "truncated", "detail": "The drawing ends in the middle."}


@pytest.mark.parametrize(
    ("error", "cause"),
    [(Requeue("engine-unavailable", "No engine here."), "engine"), (StoreError("The store is away."), "store")],
)
def test_a_job_given_back_waits_again_without_a_death(bench: WorkerContext, error: Exception, cause: str) -> None:
    run_job(bench, JOB, raising(error))

    assert (job_of(bench).state, job_of(bench).crashes) == (State.QUEUED, 0)
    assert ends(bench) == [(Outcome.REQUEUED, cause)]


@pytest.mark.parametrize(
    ("error", "cause", "did"),
    [
        (MemoryError("cache"), "out-of-memory", r"needed more memory than its limits allow \(cache\), at \d+ MB"),
        (KeyError("x"), "error", r"met an unexpected KeyError at \d+ MB"),
    ],
)
def test_an_attempt_that_its_child_survives_counts_as_a_death_and_the_last_one_is_dead_lettered(
    bench: WorkerContext, error: Exception, cause: str, did: str
) -> None:
    def work(running: JobRun) -> Result:
        running.record_plan(digest="0" * 64, size=1, plan={"peak_bytes": 120 * 1024**2})
        running.report_progress(50, "encode", "PIPES")
        raise error

    for number, requeue in enumerate((True, True, False), 1):
        with pytest.raises(Reject) as caught:
            run_job(bench, JOB, work)
        assert caught.value.requeue is requeue
        story = str(caught.value.reason)
        assert re.fullmatch(rf"Attempt {number} {did} while encoding layer PIPES \(planned 120 MB\)\.", story)

    assert (job_of(bench).state, job_of(bench).crashes) == (State.DEAD, 3)
    assert job_of(bench).error == {"code": cause, "detail": f"{story} Attempt 3 was the last one."}
    with pytest.raises(Reject) as caught:
        run_job(bench, JOB, done)
    assert caught.value.requeue is False


def test_a_message_of_a_settled_job_is_let_go_without_work(bench: WorkerContext) -> None:
    run_job(bench, JOB, done)

    run_job(bench, JOB, raising(AssertionError("worked again")))

    assert ends(bench) == [(Outcome.SUCCEEDED, None)]


def test_a_message_with_the_id_of_another_job_is_dead_lettered(bench: WorkerContext) -> None:
    bench.ledger.jobs.accept(JOB)

    with pytest.raises(Reject, match="the id belongs to another job") as caught:
        run_job(bench, Job(JOB.id, "rival", State.QUEUED, "sources/rival/x", "", {}, 1.0, 1.0), done)

    assert caught.value.requeue is False


def test_a_job_that_another_worker_holds_is_let_go_after_a_little_patience(
    bench: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEASED_TIMEOUT", 0.2)
    claim = bench.ledger.attempts.claim(JOB, lease_owner="another-host:1:1", now=time.time(), lease=60)
    assert isinstance(claim, Claimed)

    run_job(bench, JOB, raising(AssertionError("worked on a held job")))

    assert job_of(bench) == claim.job


@pytest.mark.parametrize(
    ("notes_after", "first"),
    [(0.05, (Outcome.CRASHED, Cause.TIME_LIMIT)), (60, (Outcome.CRASHED, "worker-lost"))],
    ids=["its parent explains it", "its parent is gone as well"],
)
def test_given_a_holder_that_is_gone_when_its_job_is_claimed_then_its_parent_has_a_moment_to_say_why(
    bench: WorkerContext, notes_after: float, first: tuple[Outcome, str]
) -> None:
    child = subprocess.Popen(["sleep", "60"])
    holder = f"{host_id()}:{child.pid}:{start_time(child.pid)}"
    bench.ledger.attempts.claim(JOB, lease_owner=holder, now=time.time(), lease=60)
    child.kill()
    child.wait()
    note = CrashReport(JOB.id, host_id(), child.pid, time.time(), Cause.TIME_LIMIT, "It was still running.")
    parent = threading.Timer(notes_after, write, args=(bench.settings.var, note))
    parent.start()

    run_job(bench, JOB, done)

    parent.cancel()
    assert ends(bench) == [first, (Outcome.SUCCEEDED, None)]


def test_work_longer_than_a_lease_keeps_the_job_and_a_cancelled_job_stops_it(bench: WorkerContext) -> None:
    held: list[float | None] = []

    def work(running: JobRun) -> Result:
        first = job_of(bench).lease_expires_at
        time.sleep(0.8)
        held.extend([first, job_of(bench).lease_expires_at])
        bench.ledger.jobs.cancel(JOB.id, time.time(), error={"code": "cancelled", "detail": "Not needed."})
        assert running.lease_lost.wait(2)
        running.report_progress(50, "draw")
        raise AssertionError("went on after the job was cancelled")

    run_job(bench, JOB, work)

    assert held[0] is not None
    assert held[1] is not None
    assert held[1] > held[0]
    assert job_of(bench).state is State.CANCELLED
    assert ends(bench) == [(Outcome.CANCELLED, None)]
    assert not [thread for thread in threading.enumerate() if thread.name == "lease"]


def test_progress_is_told_at_intervals_and_always_at_its_end(bench: WorkerContext) -> None:
    def work(running: JobRun) -> Result:
        for percent in range(101):
            running.report_progress(percent, "draw", "WALLS")
        return done(running)

    run_job(bench, JOB, work)

    percents = [told.percent for told in bench.progress_publisher.told]  # type: ignore[attr-defined]
    assert percents[0] == 0
    assert percents[-2:] == [100, 100]
    assert len(percents) < 20


def test_a_ledger_that_comes_back_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    away = [LedgerUnavailable("gone"), LedgerUnavailable("gone")]

    def call() -> str:
        if away:
            raise away.pop()
        return "answer"

    assert wait_for_ledger(call) == "answer"
    assert "Waiting for the ledger: The ledger's database does not answer." in caplog.text


def test_a_ledger_that_stays_away_gives_the_message_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEDGER_TIMEOUT", 0.1)

    def call() -> None:
        raise LedgerUnavailable("gone")

    with pytest.raises(Reject) as caught:
        wait_for_ledger(call)
    assert caught.value.requeue is True


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), JobError("damaged", "It ends early.")])
@pytest.mark.parametrize("kept", [True, False])
def test_whatever_a_full_disk_looks_like_the_job_is_given_back_without_a_death(
    bench: WorkerContext, monkeypatch: pytest.MonkeyPatch, error: Exception, kept: bool
) -> None:
    monkeypatch.setattr(bench_module, "MIN_FREE_BYTES", 1 << 62)  # no disk has so much

    def work(running: JobRun) -> Result:
        with running.context.resumable_work_dir("k") if kept else running.context.work_dir():
            raise error

    run_job(bench, JOB, work)

    assert (job_of(bench).state, job_of(bench).crashes) == (State.QUEUED, 0)
    [released] = bench.ledger.attempts.history(JOB.id)
    assert (released.outcome, released.cause, released.explanation) == (
        Outcome.REQUEUED,
        "no-space",
        "The disk of this worker's directory is full: free some of it, or set BULKHEAD_VAR to a larger one.",
    )


@pytest.mark.parametrize("kept", [False, True])
def test_given_a_disk_without_room_for_another_directory_then_the_job_is_given_back_without_a_death(
    bench: WorkerContext, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    def full(*_args: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def work(running: JobRun) -> Result:
        monkeypatch.setattr(os, "mkdir", full)
        with running.context.resumable_work_dir("k") if kept else running.context.work_dir():
            raise AssertionError

    (bench.settings.var / bench_module.FOLDER).mkdir(parents=True)
    run_job(bench, JOB, work)

    assert (job_of(bench).state, job_of(bench).crashes) == (State.QUEUED, 0)
    assert ends(bench) == [(Outcome.REQUEUED, "no-space")]


def test_a_job_that_belongs_in_another_lane_is_given_back_for_it_and_its_old_message_is_let_go(
    bench: WorkerContext,
) -> None:
    run_job(bench, JOB, raising(Requeue("rerouted", "It needs more memory.", LARGE)))

    assert (job_of(bench).state, job_of(bench).queue) == (State.QUEUED, LARGE)
    run_job(bench, JOB, done)
    assert job_of(bench).state is State.QUEUED
    run_job(bench, replace(JOB, queue=LARGE), done)
    assert job_of(bench).state is State.SUCCEEDED
