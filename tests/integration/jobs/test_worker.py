"""Real workers and a real broker: jobs whose child, worker or ledger fails."""

import json
import os
import re
import signal
import sqlite3
import time
import uuid

import psutil
import pytest

from tasks import renders
from tasks.jobs import Outcome, State
from tasks.messaging.topology import RENDER
from tests.integration.jobs.renders import HEAVY, TENANT, Renders, eventually, publish_raw
from tests.services.platform import Platform
from tests.services.processes import is_gone, zygote_of

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

NORMAL_PRIORITY = {"child_niceness": "0"}  # the machine may be busy


def kill(pid: int, signal_number: signal.Signals) -> None:
    """Send a signal to one of our processes: a worker child, or a render in the sandbox."""
    assert {"worker", "workers.sandbox.zygote.process"} & set(psutil.Process(pid).cmdline())
    os.kill(pid, signal_number)


def owners(sent: Renders, job_id: str) -> set[str]:
    """The worker children that ran the attempts at the job."""
    return {attempt.lease_owner for attempt in sent.history(job_id)}


def explains(explanation: str | None, attempt: int, predicate: str) -> bool:
    """Whether the explanation has the cause and the memory and, if the attempt had a stage, the stage and the plan."""
    size = r"[\d.,]+ MiB"
    stage = rf"( while [a-z ]+( layer L\d)?)?( \(planned {size}\))?"
    pattern = rf"Attempt {attempt} {re.escape(predicate)} at {size}{stage}\."
    return re.fullmatch(pattern, explanation or "") is not None


def test_given_a_render_accepted_and_published_then_it_succeeds_in_one_attempt(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker(**NORMAL_PRIORITY)

    job = sent.finished(sent.submit())

    assert (job.state, job.attempt, job.crashes) == (State.SUCCEEDED, 1, 0)
    assert json.loads(sent.manifest(job).read_text())
    (attempt,) = sent.history(job.id)
    assert attempt.outcome is Outcome.SUCCEEDED
    assert attempt.facts is not None
    assert attempt.facts["peak_bytes"] > 1_000_000
    assert attempt.facts["plan_error"] == pytest.approx(
        attempt.facts["peak_bytes"] / attempt.facts["planned_bytes"] - 1, abs=0.001
    )
    assert abs(attempt.facts["memory_growth_bytes"]) < 100_000_000
    assert attempt.facts["descriptor_growth"] < 10
    assert eventually(lambda: sent.publisher.queue_depth(RENDER) == 0)


def test_given_the_same_drawing_requested_again_then_its_artifacts_are_reused(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker(**NORMAL_PRIORITY)
    first = sent.make()
    second = sent.make()
    with sent.store.open_read(first.source) as drawing:
        sent.store.put(second.source, drawing.read())

    jobs = []
    for message in (first, second):
        sent.accept(message)
        sent.publish(message)
        jobs.append(sent.finished(message.job))

    assert jobs[0].artifact == jobs[1].artifact
    assert (sent.history(second.job)[0].facts or {})["reused"] is True


def test_given_a_message_of_an_unknown_job_then_the_job_is_added_to_the_ledger(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker(**NORMAL_PRIORITY)
    message = sent.make()

    publish_raw(
        platform.broker_url,
        json.dumps([[], message.model_dump(mode="json"), {}]),
        {"task": renders.TASK, "id": message.job},
    )

    job = sent.finished(message.job)
    assert (job.state, job.tenant, job.source) == (State.SUCCEEDED, TENANT, message.source)


def test_given_a_message_with_the_id_of_another_tenant_s_job_then_it_is_dead_lettered_and_the_job_unchanged(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker(**NORMAL_PRIORITY)
    job = sent.finished(sent.submit())
    other = renders.RenderMessage(job=job.id, tenant="rival", source=renders.source_key("rival", job.id))

    sent.publisher.publish(renders.TASK, job.id, other.model_dump(mode="json"))

    assert sent.dead_letter(job.id).task == renders.TASK
    assert sent.find(job.id) == job


def test_given_a_render_killed_from_outside_then_its_worker_child_records_it_and_no_crash_is_counted(
    platform: Platform, sent: Renders
) -> None:
    worker = platform.start_worker(**NORMAL_PRIORITY)
    job_id = sent.submit(HEAVY)

    kill(sent.render_at(job_id), signal.SIGKILL)

    job = sent.finished(job_id)
    assert (job.state, job.attempt, job.crashes, job.worker_losses) == (State.SUCCEEDED, 2, 0, 1)
    first, second = sent.history(job_id)
    assert (first.outcome, first.cause) == (Outcome.CRASHED, "killed")
    assert explains(first.explanation, 1, "was killed from outside with SIGKILL")
    assert first.facts is not None
    assert first.facts["stage"] in ("plan", "open", "draw", "compose", "encode")
    assert first.facts["cgroup"]["events"] is not None
    assert second.outcome is Outcome.SUCCEEDED
    assert len(owners(sent, job_id)) == 1
    assert f"Job {job_id}: {first.explanation}" in worker.log.read_text()


def test_given_a_worker_child_killed_from_outside_then_its_render_ends_and_no_crash_is_counted(
    platform: Platform, sent: Renders
) -> None:
    worker = platform.start_worker(**NORMAL_PRIORITY)
    job_id = sent.submit(HEAVY)
    render = psutil.Process(sent.render_at(job_id))

    kill(sent.child_at(job_id), signal.SIGKILL)

    assert is_gone(render)
    job = sent.finished(job_id)
    assert (job.state, job.attempt, job.crashes, job.worker_losses) == (State.SUCCEEDED, 2, 0, 1)
    first = sent.history(job_id)[0]
    assert (first.outcome, first.cause) == (Outcome.CRASHED, "killed")
    assert explains(first.explanation, 1, "was killed from outside with SIGKILL")
    assert len(owners(sent, job_id)) == 2
    assert f"lost its worker child {first.lease_owner.split(':')[1]}: {first.explanation}" in worker.log.read_text()


def test_given_a_worker_child_terminated_during_a_job_then_its_attempt_is_explained_and_the_next_one_succeeds(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker(**NORMAL_PRIORITY)
    job_id = sent.submit(HEAVY)
    sent.render_at(job_id)

    kill(sent.child_at(job_id), signal.SIGTERM)

    job = sent.finished(job_id)
    assert (job.state, job.crashes) == (State.SUCCEEDED, 0)
    first = sent.history(job_id)[0]
    assert (first.outcome, first.cause) == (Outcome.CRASHED, "killed")
    assert explains(first.explanation, 1, "was killed from outside with SIGTERM")


def test_given_the_zygote_is_killed_during_a_job_then_another_one_starts_and_no_crash_is_counted(
    platform: Platform, sent: Renders
) -> None:
    worker = platform.start_worker(**NORMAL_PRIORITY)
    job_id = sent.submit(HEAVY)
    sent.render_at(job_id)
    zygote = zygote_of(worker.pid)

    kill(zygote.pid, signal.SIGKILL)

    job = sent.finished(job_id)
    assert (job.state, job.attempt, job.crashes) == (State.SUCCEEDED, 2, 0)
    assert sent.history(job_id)[0].cause == "killed"
    assert len(owners(sent, job_id)) == 1
    assert zygote_of(worker.pid) != zygote


def test_given_a_render_that_crashes_in_every_attempt_then_the_job_is_dead_and_its_message_dead_lettered(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker(**NORMAL_PRIORITY)
    job_id = sent.submit(HEAVY)

    for attempt in (1, 2, 3):
        kill(sent.render_at(job_id, attempt), signal.SIGSEGV)

    job = sent.finished(job_id)
    assert (job.state, job.crashes, job.attempt) == (State.DEAD, 3, 3)
    history = sent.history(job_id)
    assert [attempt.cause for attempt in history] == ["native-crash"] * 3
    for number, crashed in enumerate(history, 1):
        assert explains(crashed.explanation, number, "crashed in native code with SIGSEGV")
    assert len(owners(sent, job_id)) == 1
    assert job.error == {"code": "native-crash", "detail": f"{history[2].explanation} Attempt 3 was the last one."}
    letter = sent.dead_letter(job_id)
    assert (letter.task, letter.reason) == (renders.TASK, "rejected")
    assert json.loads(letter.body)[1]["job"] == job_id
    assert sent.finished(sent.submit()).state is State.SUCCEEDED


def test_given_a_worker_killed_with_its_child_then_another_worker_finishes_the_job(
    platform: Platform, sent: Renders
) -> None:
    worker = platform.start_worker(**NORMAL_PRIORITY)
    job_id = sent.submit(HEAVY)
    child = sent.child_at(job_id)

    worker.kill()
    eventually(lambda: not psutil.pid_exists(child))
    platform.start_worker("render2", **NORMAL_PRIORITY)

    job = sent.finished(job_id)
    assert (job.state, job.attempt, job.crashes) == (State.SUCCEEDED, 2, 0)
    assert sent.history(job_id)[0].cause == "worker-lost"


def test_given_a_running_render_when_it_is_cancelled_then_its_process_ends_and_its_child_runs_the_next_job(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker(lease="1", **NORMAL_PRIORITY)
    job_id = sent.submit(HEAVY)
    render = psutil.Process(sent.render_at(job_id))
    child = sent.child_at(job_id)

    assert sent.ledger.jobs.cancel(job_id, time.time(), error={"code": "cancelled", "detail": "Not needed."})

    assert is_gone(render)
    next_job = sent.finished(sent.submit())
    assert next_job.state is State.SUCCEEDED
    assert sent.find(job_id).state is State.CANCELLED
    assert [attempt.outcome for attempt in sent.history(job_id)] == [Outcome.CANCELLED]
    assert f":{child}:" in sent.history(next_job.id)[0].lease_owner


def test_given_an_unavailable_ledger_when_a_job_is_claimed_then_no_attempt_is_lost(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker(**NORMAL_PRIORITY)
    message = sent.make()
    sent.accept(message)
    ledger = sqlite3.connect(platform.directory / "ledger.db", isolation_level=None)
    ledger.execute("BEGIN EXCLUSIVE")  # longer than a writer waits for a lock
    sent.publisher.publish(renders.TASK, message.job, message.model_dump(mode="json"))
    log = platform.directory / "log" / "render1.log"
    eventually(lambda: "Waiting for the ledger" in log.read_text())
    ledger.execute("ROLLBACK")
    ledger.close()

    job = sent.finished(message.job)

    assert (job.state, job.attempt, job.crashes, job.worker_losses) == (State.SUCCEEDED, 1, 0, 0)


def test_given_a_missing_or_invalid_source_then_the_job_fails_without_a_retry(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker(**NORMAL_PRIORITY)
    missing, invalid = sent.make(), sent.make()
    sent.store.delete(missing.source)
    sent.store.put(invalid.source, b"this is no drawing at all" * 10)

    for message in (missing, invalid):
        sent.accept(message)
        sent.publish(message)
    jobs = [sent.finished(message.job) for message in (missing, invalid)]

    assert [(job.state, job.attempt) for job in jobs] == [(State.FAILED, 1)] * 2
    assert jobs[0].error == {
        "code": "source-missing",
        "detail": "The blueprint is no longer in the store. Send it again.",
    }
    assert (jobs[1].error or {})["code"] == "unknown-format"
    assert sent.letters.peek() == []


def test_given_two_workers_and_jobs_published_twice_then_each_job_has_one_attempt(
    platform: Platform, sent: Renders
) -> None:
    for name in ("render1", "render2"):
        platform.start_worker(name, **NORMAL_PRIORITY)
    messages = [sent.make() for _ in range(20)]
    for message in messages:
        sent.accept(message)
    for message in messages + messages:
        sent.publish(message)

    jobs = [sent.finished(message.job) for message in messages]

    assert {(job.state, job.attempt) for job in jobs} == {(State.SUCCEEDED, 1)}
    assert {len(sent.history(job.id)) for job in jobs} == {1}


def test_given_a_killed_child_then_its_directories_are_removed_and_its_crash_report_flushed(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker(**NORMAL_PRIORITY)
    job_id = sent.submit(HEAVY)
    work = platform.directory / "var" / "work"
    child = sent.child_at(job_id)
    eventually(lambda: len(list(work.glob(f"*:{child}:*"))) == 2)  # that of its job, and its own

    kill(child, signal.SIGKILL)
    sent.finished(job_id)

    assert list(work.glob(f"*:{child}:*")) == []
    assert list((platform.directory / "var" / "crash-reports").iterdir()) == []
    # The child that finished the job removes its own record a moment after the ledger has the result.
    eventually(lambda: not list((platform.directory / "var" / "flight-records").iterdir()))


def test_given_an_unknown_task_then_its_message_is_dead_lettered_with_the_reason(
    platform: Platform, sent: Renders
) -> None:
    platform.start_worker(**NORMAL_PRIORITY)
    letter_id = str(uuid.uuid4())

    publish_raw(platform.broker_url, "[[], {}, {}]", {"task": "render.nothing", "id": letter_id})

    assert sent.dead_letter(letter_id).reason == "no task 'render.nothing' is handled on the queue 'render'"
