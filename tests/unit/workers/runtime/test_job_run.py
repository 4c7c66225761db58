"""One attempt from its claim to its end, on a real SQLite ledger."""

import errno
import os
import pickle
import subprocess
import threading
import time
from dataclasses import replace

import pytest
from celery.exceptions import Ignore, Reject, Retry

from tasks.errors import JobFailed
from tasks.jobs import Claimed, Job, LedgerUnavailable, Outcome, State
from tasks.messaging.topology import LARGE
from tasks.storage import StoreError
from tests.unit.workers.runtime.attempts import JOB, job_of, outcomes, published, raising, succeed
from workers.crash.crash_reports import CrashReport, write
from workers.runtime import attempt as attempt_module
from workers.runtime import claim as claim_module
from workers.runtime import worker_context
from workers.runtime.attempt import JobError, JobRun, Requeue, Result, wait_for_ledger
from workers.runtime.job_run import run_job
from workers.runtime.outcomes import JobCancelled, JobDead
from workers.runtime.worker_context import WorkerContext
from workers.sandbox.causes import Cause
from workers.sandbox.errors import SandboxUnavailable
from workers.sandbox.process_identity import host_id, start_time


def test_given_work_that_succeeds_then_the_job_succeeded_and_that_is_published(context: WorkerContext) -> None:
    run_job(context, JOB, succeed)

    assert (job_of(context).state, job_of(context).artifact) == (State.SUCCEEDED, "a" * 64)
    assert [(message.state, message.percent) for message in published(context)] == [("succeeded", 100)]


def test_given_an_attempt_that_ended_by_itself_then_its_flight_record_is_removed(context: WorkerContext) -> None:
    run_job(context, JOB, succeed)

    assert list((context.settings.var / "flight-records").iterdir()) == []


def test_given_a_job_that_cannot_succeed_then_it_fails_and_so_does_its_task(context: WorkerContext) -> None:
    for work in (raising(JobError("truncated", "The drawing ends in the middle.")), succeed):
        with pytest.raises(JobFailed, match=r"^The drawing ends in the middle\.$") as caught:
            run_job(context, JOB, work)
        assert pickle.loads(pickle.dumps(caught.value)).message == "The drawing ends in the middle."  # noqa: S301

    assert job_of(context).state is State.FAILED
    assert job_of(context).error == {"code": "truncated", "detail": "The drawing ends in the middle."}


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (Requeue("engine-unavailable", "No engine here."), "engine-unavailable"),
        (StoreError("No store."), "store-unavailable"),
        (SandboxUnavailable("The sandbox did not start."), "sandbox-unavailable"),
    ],
)
def test_given_a_requeued_job_then_it_is_queued_without_a_crash(
    context: WorkerContext, error: Exception, cause: str
) -> None:
    with pytest.raises(Retry, match=f"^{error}$"):
        run_job(context, JOB, raising(error))

    assert (job_of(context).state, job_of(context).crashes) == (State.QUEUED, 0)
    assert outcomes(context) == [(Outcome.REQUEUED, cause)]


@pytest.mark.parametrize("error", [MemoryError("cache"), KeyError("x")])
def test_given_an_attempt_that_its_process_survives_then_it_counts_as_a_crash_and_the_last_one_is_dead_lettered(
    context: WorkerContext, error: Exception
) -> None:
    def work(run: JobRun) -> Result:
        run.record_plan(digest="0" * 64, size=1, plan={"peak_bytes": 120 * 1024**2})
        run.report_progress(50, "encode", "PIPES")
        raise error

    for number, outcome in enumerate((Reject, Reject, JobDead), 1):
        with pytest.raises(outcome) as caught:
            run_job(context, JOB, work)
        explanation = str(caught.value.args[0])
        assert getattr(caught.value, "requeue", True)
        failed = f"Attempt {number} failed with an unexpected {type(error).__name__}"
        assert explanation == f"{failed} while encoding layer PIPES (planned 120 MiB)."

    assert (job_of(context).state, job_of(context).crashes) == (State.DEAD, 3)
    assert job_of(context).error == {"code": "error", "detail": f"{explanation} Attempt 3 was the last one."}
    with pytest.raises(JobDead, match=r"Attempt 3 was the last one\.$"):
        run_job(context, JOB, succeed)


def test_given_a_message_of_a_finished_job_then_it_is_acknowledged_without_work(context: WorkerContext) -> None:
    run_job(context, JOB, succeed)

    run_job(context, JOB, raising(AssertionError("worked again")))

    assert outcomes(context) == [(Outcome.SUCCEEDED, None)]


def test_given_a_message_with_the_id_of_another_job_then_it_is_dead_lettered(context: WorkerContext) -> None:
    context.ledger.jobs.accept(JOB)

    with pytest.raises(Reject, match="the id belongs to another job") as caught:
        run_job(context, Job(JOB.id, "rival", State.QUEUED, "sources/rival/x", "", {}, 1.0, 1.0), succeed)

    assert caught.value.requeue is False


def test_given_a_job_with_a_live_lease_then_its_message_is_acknowledged_after_a_short_wait(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_module, "LEASED_TIMEOUT", 0.2)
    claim = context.ledger.attempts.claim(JOB, lease_owner="another-host:1:1", now=time.time(), lease=60)
    assert isinstance(claim, Claimed)

    with pytest.raises(Ignore):
        run_job(context, JOB, raising(AssertionError("worked on a leased job")))

    assert job_of(context) == claim.job


@pytest.mark.parametrize(
    ("reported_after", "first"),
    [(0.05, (Outcome.CRASHED, Cause.TIME_LIMIT)), (60, (Outcome.CRASHED, "worker-lost"))],
    ids=["its parent reports", "its parent is gone as well"],
)
def test_given_an_owner_that_is_gone_when_its_job_is_claimed_then_its_parent_has_a_moment_to_report(
    context: WorkerContext, reported_after: float, first: tuple[Outcome, str]
) -> None:
    child = subprocess.Popen(["sleep", "60"])
    owner = f"{host_id()}:{child.pid}:{start_time(child.pid)}"
    context.ledger.attempts.claim(JOB, lease_owner=owner, now=time.time(), lease=60)
    child.kill()
    child.wait()
    report = CrashReport(JOB.id, host_id(), child.pid, time.time(), Cause.TIME_LIMIT, "It was still run.")
    parent = threading.Timer(reported_after, write, args=(context.settings.var, report))
    parent.start()

    run_job(context, JOB, succeed)

    parent.cancel()
    assert outcomes(context) == [first, (Outcome.SUCCEEDED, None)]


def test_given_work_longer_than_a_lease_then_it_is_renewed_until_the_job_is_cancelled(
    context: WorkerContext,
) -> None:
    expiries: list[float | None] = []

    def work(run: JobRun) -> Result:
        first = job_of(context).lease_expires_at
        time.sleep(0.8)
        expiries.extend([first, job_of(context).lease_expires_at])
        context.ledger.jobs.cancel(JOB.id, time.time(), error={"code": "cancelled", "detail": "Not needed."})
        assert run.lease_lost.wait(2)
        run.report_progress(50, "draw")
        raise AssertionError("continued after the job was cancelled")

    with pytest.raises(JobCancelled, match="Not needed"):
        run_job(context, JOB, work)

    assert expiries[0] is not None
    assert expiries[1] is not None
    assert expiries[1] > expiries[0]
    assert job_of(context).state is State.CANCELLED
    assert outcomes(context) == [(Outcome.CANCELLED, None)]
    assert not [thread for thread in threading.enumerate() if thread.name == "lease"]


def test_given_frequent_progress_then_it_is_published_at_intervals_and_at_the_end(
    context: WorkerContext,
) -> None:
    def work(run: JobRun) -> Result:
        for percent in range(101):
            run.report_progress(percent, "draw", "WALLS")
        return succeed(run)

    run_job(context, JOB, work)

    percents = [message.percent for message in published(context)]
    assert percents[0] == 0
    assert percents[-2:] == [100, 100]
    assert len(percents) < 20


def test_given_an_unavailable_ledger_when_it_returns_then_the_call_succeeds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    errors = [LedgerUnavailable("gone"), LedgerUnavailable("gone")]

    def call() -> str:
        if errors:
            raise errors.pop()
        return "answer"

    assert wait_for_ledger(call) == "answer"
    assert "Waiting for the ledger: The ledger's database does not answer." in caplog.text


def test_given_a_ledger_that_stays_unavailable_then_the_message_is_requeued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt_module, "LEDGER_TIMEOUT", 0.1)

    def call() -> None:
        raise LedgerUnavailable("gone")

    with pytest.raises(Reject) as caught:
        wait_for_ledger(call)
    assert caught.value.requeue is True


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), JobError("damaged", "It ends early.")])
@pytest.mark.parametrize("is_resumable", [True, False])
def test_given_any_error_of_a_full_disk_then_the_job_is_requeued_without_a_crash(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, error: Exception, is_resumable: bool
) -> None:
    monkeypatch.setattr(worker_context, "MIN_FREE_BYTES", 1 << 62)  # more than any disk has

    def work(run: JobRun) -> Result:
        with run.context.resumable_work_dir("k") if is_resumable else run.context.work_dir():
            raise error

    with pytest.raises(Retry):
        run_job(context, JOB, work)

    assert (job_of(context).state, job_of(context).crashes) == (State.QUEUED, 0)
    [attempt] = context.ledger.attempts.history(JOB.id)
    assert (attempt.outcome, attempt.cause, attempt.explanation) == (
        Outcome.REQUEUED,
        "no-space",
        "The disk of this worker's directory is full: free some of it, or set BULKHEAD_VAR to a larger one.",
    )


@pytest.mark.parametrize("is_resumable", [False, True])
def test_given_a_disk_without_space_for_a_directory_then_the_job_is_requeued_without_a_crash(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, is_resumable: bool
) -> None:
    def full(*_args: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def work(run: JobRun) -> Result:
        monkeypatch.setattr(os, "mkdir", full)
        with run.context.resumable_work_dir("k") if is_resumable else run.context.work_dir():
            raise AssertionError

    (context.settings.var / worker_context.FOLDER).mkdir(parents=True)
    with pytest.raises(Retry):
        run_job(context, JOB, work)

    assert (job_of(context).state, job_of(context).crashes) == (State.QUEUED, 0)
    assert outcomes(context) == [(Outcome.REQUEUED, "no-space")]


def test_given_a_rerouted_job_then_it_continues_in_the_other_queue_and_its_old_message_is_acknowledged(
    context: WorkerContext,
) -> None:
    with pytest.raises(Retry, match="It needs more memory"):
        run_job(context, JOB, raising(Requeue("rerouted", "It needs more memory.", LARGE)))

    assert (job_of(context).state, job_of(context).queue) == (State.QUEUED, LARGE)
    with pytest.raises(Retry, match=r"continues in the queue render\.large"):
        run_job(context, JOB, succeed)
    assert job_of(context).state is State.QUEUED
    run_job(context, replace(JOB, queue=LARGE), succeed)
    assert job_of(context).state is State.SUCCEEDED
