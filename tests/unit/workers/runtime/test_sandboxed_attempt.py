"""One attempt whose work runs in a real sandbox: what the ledger says of its end."""

import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import Reject, Retry

from tasks.jobs import Outcome, State
from tests.unit.workers.runtime.attempts import JOB, job_of, outcomes, published, succeed
from tests.unit.workers.sandbox.support import BODIES, OPTIONS
from workers.runtime import attempt as module
from workers.runtime.attempt import JobRun, Result
from workers.runtime.job_run import run_job
from workers.runtime.worker_context import WorkerContext
from workers.sandbox.causes import Cause
from workers.sandbox.reports import Progress
from workers.sandbox.runner import SandboxJob
from workers.sandbox.zygote import Zygote

MIB = 1024**2


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    """A zygote that has loaded the bodies."""
    zygote = Zygote(OPTIONS)
    zygote.start()
    yield zygote
    zygote.close()


@pytest.fixture(autouse=True)
def _worker_zygote(zygote: Zygote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "worker_zygote", lambda: zygote)


def with_settings(context: WorkerContext, **settings: Any) -> WorkerContext:
    return replace(context, settings=context.settings.model_copy(update=settings))


def running(body: str, work: Path, arguments: dict[str, Any] | None = None) -> Any:
    """Work that runs one of the bodies in the sandbox."""
    work.mkdir(exist_ok=True)

    def act(run: JobRun) -> Result:
        run.report_progress(50, "encode", "PIPES")
        run.run_in_sandbox(SandboxJob(f"{BODIES}:{body}", arguments or {}, work)).value()
        return succeed(run)

    return act


def test_given_an_attempt_then_its_resource_usage_is_that_of_the_sandboxed_process(
    context: WorkerContext, tmp_path: Path
) -> None:
    act = running("touch_memory", tmp_path / "work", {"bytes": 100 * MIB})

    def work(run: JobRun) -> Result:
        run.record_plan(digest="0" * 64, size=1, plan={"peak_bytes": 2**40})
        result: Result = act(run)
        run.usage.set_residue({"memory_growth_bytes": 5})
        return result

    run_job(context, JOB, work)

    facts = context.ledger.attempts.history(JOB.id)[0].facts
    assert facts is not None
    assert set(facts) == {
        *("seconds", "cpu_seconds", "peak_bytes", "planned_bytes", "plan_error", "memory_growth_bytes", "engine"),
    }
    assert 100 * MIB < facts["peak_bytes"] < 200 * MIB
    assert 0 < facts["cpu_seconds"] < facts["seconds"]
    assert facts["plan_error"] == pytest.approx(facts["peak_bytes"] / 2**40 - 1, abs=0.001)


def test_given_several_processes_then_their_times_are_added_and_the_largest_peak_counts(
    context: WorkerContext, tmp_path: Path
) -> None:
    def work(run: JobRun) -> Result:
        running("touch_memory", tmp_path / "work", {"bytes": 100 * MIB})(run)
        running("echo", tmp_path / "work")(run)
        return succeed(run)

    run_job(context, JOB, work)

    facts = context.ledger.attempts.history(JOB.id)[0].facts
    assert facts is not None
    assert facts["peak_bytes"] > 100 * MIB


@pytest.mark.parametrize(
    ("body", "arguments", "settings", "cause", "predicate"),
    [
        ("abort", {}, {}, Cause.CRASH, r"crashed in native code with SIGABRT at [\d.]+ MiB"),
        (
            "end_process",
            {"status": 7},
            {},
            Cause.CRASH,
            r"failed when native code ended the process with exit code 7,( at [\d.]+ MiB)?",
        ),
        (
            *("compute", {}, {"render_time_limit": 0.5}, Cause.TIME_LIMIT),
            r"was stopped at its time limit of 0\.5 s of processor time, after \d+ s, at [\d.]+ MiB",
        ),
        (
            *("close_pipe_and_sleep", {}, {"render_idle_limit": 0.5}, Cause.HUNG),
            r"was stopped because it neither computed nor made progress for 0\.5 s, at [\d.]+ MiB",
        ),
        (
            *("start_threads", {"count": 200, "seconds": 60}, {}, Cause.QUOTA),
            r"was stopped because it started more than 128 threads, at [\d.]+ MiB",
        ),
        (
            *("raise_memory_error", {}, {}, Cause.OUT_OF_MEMORY),
            r"needed more memory than its limits allow \(cache\),( at [\d.]+ MiB)?",
        ),
        ("raise_unexpectedly", {}, {}, Cause.ERROR, r"failed with an unexpected KeyError( at [\d.]+ MiB)?"),
    ],
    ids=["abort", "exit", "time", "hung", "threads", "memory", "error"],
)
def test_given_a_sandboxed_process_that_dies_then_the_ledger_has_the_cause_and_the_story_at_once(
    context: WorkerContext,
    tmp_path: Path,
    body: str,
    arguments: dict[str, Any],
    settings: dict[str, Any],
    cause: Cause,
    predicate: str,
) -> None:
    with pytest.raises(Reject) as caught:
        run_job(with_settings(context, **settings), JOB, running(body, tmp_path / "work", arguments))

    assert caught.value.requeue is True
    assert (job_of(context).state, job_of(context).crashes) == (State.QUEUED, 1)
    assert outcomes(context) == [(Outcome.CRASHED, cause)]
    story = context.ledger.attempts.history(JOB.id)[0].explanation
    layer = r"while encoding layer PIPES\."
    assert re.fullmatch(rf"Attempt 1 {predicate} {layer}", str(story)), story


def test_given_a_sandboxed_process_killed_from_outside_then_the_job_is_not_at_fault(
    context: WorkerContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(_run: JobRun, progress: Progress) -> None:
        os.kill(int(progress.stage), signal.SIGKILL)

    monkeypatch.setattr(JobRun, "_on_progress", kill)
    for _ in range(4):
        with pytest.raises(Reject):
            run_job(context, JOB, running("sleep", tmp_path / "work"))
    assert job_of(context).state is State.QUEUED
    assert outcomes(context) == [(Outcome.CRASHED, Cause.KILLED)] * 4


def test_given_three_deaths_of_its_own_then_the_job_is_dead(context: WorkerContext, tmp_path: Path) -> None:
    for number in range(3):
        with pytest.raises(Exception, match=f"Attempt {number + 1} crashed in native code"):
            run_job(context, JOB, running("abort", tmp_path / "work"))
    assert job_of(context).state is State.DEAD
    assert published(context)[-1].state == State.DEAD


def test_given_a_host_that_is_too_slow_then_the_job_is_requeued_without_a_crash(
    context: WorkerContext, tmp_path: Path
) -> None:
    slow = with_settings(context, render_wall_limit=0.5)
    with pytest.raises(Retry, match=r"in which the host gave it 0 s of processor time"):
        run_job(slow, JOB, running("sleep", tmp_path / "work"))

    assert (job_of(context).state, job_of(context).crashes) == (State.QUEUED, 0)
    assert outcomes(context) == [(Outcome.REQUEUED, Cause.STARVED)]


def test_given_a_job_that_is_cancelled_then_its_process_ends_within_the_lease(
    context: WorkerContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids: list[int] = []

    def cancel(_run: JobRun, progress: Progress) -> None:
        pids.append(int(progress.stage))
        context.ledger.jobs.cancel(JOB.id, time.time(), error={"code": "cancelled", "detail": "Not needed."})

    monkeypatch.setattr(JobRun, "_on_progress", cancel)
    started = time.monotonic()
    with pytest.raises(Exception, match="Not needed"):
        run_job(context, JOB, running("sleep", tmp_path / "work"))

    assert time.monotonic() - started < 10
    assert job_of(context).state is State.CANCELLED
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_given_progress_of_a_body_then_it_is_published_as_that_of_the_attempt(
    context: WorkerContext, tmp_path: Path
) -> None:
    run_job(context, JOB, running("report_and_sleep", tmp_path / "work"))
    assert ("wait", 1) in {(message.stage, message.percent) for message in published(context)}
