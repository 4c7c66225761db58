"""What Celery's events, and therefore Flower, say about a job is what the ledger says; and `celery control revoke`."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery.events.receiver import EventReceiver
from celery.events.state import State as EventsState

from tasks.jobs import Outcome, State
from tasks.jobs.replay import replay
from tasks.messaging.topology import RENDER
from tests.integration.jobs.renders import Renders, celery_app, eventually
from tests.services.faults import unlucky
from tests.services.platform import ROOT, Platform
from workers.runtime.extensions.revocation import DETAIL, EXPLANATION

pytestmark = [pytest.mark.service, pytest.mark.timeout(150)]

INCLUDE = ("--include", unlucky.__name__)


class Receiver(EventReceiver):
    """Receives task events, like Flower, and remembers them."""

    def __init__(self, channel: Any, **options: Any) -> None:
        super().__init__(channel, handlers={"*": self._remember}, **options)
        self.state = EventsState()
        self.events: list[dict[str, Any]] = []
        self.ready = threading.Event()

    def on_consume_ready(self, connection: Any, channel: Any, consumers: Any, **options: Any) -> None:
        super().on_consume_ready(connection, channel, consumers, **options)
        self.ready.set()

    def task(self, job_id: str, state: str) -> Any:
        """Wait until the task of this job has this state, and return it."""

        def poll() -> Any:
            task = self.state.tasks.get(job_id)
            return task if task is not None and task.state == state else None

        return eventually(poll, 30)

    def types(self, job_id: str) -> list[str]:
        """The events of this job, without those about its message."""
        ignored = {"task-received", "task-rejected"}
        types = [event["type"] for event in self.events if event.get("uuid") == job_id]
        return [each for each in types if each not in ignored]

    def _remember(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self.state.event(event)


@pytest.fixture
def monitor(platform: Platform) -> Iterator[Receiver]:
    app = celery_app(platform.broker_url)
    with app.connection_for_read() as connection:
        receiver = Receiver(connection, app=app)
        thread = threading.Thread(target=receiver.capture, daemon=True)
        thread.start()
        assert receiver.ready.wait(20)
        yield receiver
        receiver.should_stop = True
        thread.join()


def control(platform: Platform, *arguments: str) -> None:
    """Run `celery -A tasks control ...` like an operator."""
    subprocess.run(
        [sys.executable, "-m", "celery", "-A", "tasks", "control", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **platform.environment},
        cwd=platform.directory,
        check=True,
        capture_output=True,
        timeout=60,
    )


def log_of(platform: Platform, name: str = "render1") -> str:
    return (platform.directory / "log" / f"{name}.log").read_text()


def test_given_two_children_when_one_is_terminated_then_the_other_continues(platform: Platform, sent: Renders) -> None:
    platform.start_worker("render1", *INCLUDE, "-c", "2")
    first, second = (unlucky.publish(sent.publisher, "slow") for _ in range(2))
    children = {sent.child_at(first), sent.child_at(second)}
    assert len(children) == 2

    sent.app.control.revoke(first, terminate=True)

    assert sent.finished(first).state is State.CANCELLED
    third = sent.submit()
    assert sent.finished(third).state is State.SUCCEEDED
    assert sent.find(second).state is State.RUNNING
    assert [attempt.outcome for attempt in sent.history(second)] == [Outcome.RUNNING]


def messages_left(platform: Platform, sent: Renders) -> int:
    """Messages in the queue once its workers have stopped, whose unacknowledged messages return to it."""
    platform.stop()
    return sent.publisher.queue_depth(RENDER)


def test_given_a_render_that_fails_then_its_task_is_a_failure_with_the_same_sentence(
    platform: Platform, sent: Renders, monitor: Receiver
) -> None:
    platform.start_worker()
    message = sent.make()
    sent.accept(message)
    (platform.store / message.source).unlink()
    sent.publish(message)

    job = sent.finished(message.job)
    task = monitor.task(message.job, "FAILURE")

    assert (job.state, job.error) == (State.FAILED, {"code": "source-missing", "detail": task.exception})
    assert (task.exception, task.traceback) == ("The blueprint is no longer in the store. Send it again.", "")
    assert monitor.types(message.job) == ["task-started", "task-failed"]
    assert "Traceback" not in log_of(platform)
    sent.publish(message)  # a duplicate
    eventually(lambda: monitor.types(message.job) == ["task-started", "task-failed"] * 2)
    assert messages_left(platform, sent) == 0
    assert sent.letters.peek() == []


def test_given_a_job_that_its_crashes_end_then_its_task_is_retried_and_then_a_failure(
    platform: Platform, sent: Renders, monitor: Receiver
) -> None:
    platform.start_worker("render1", *INCLUDE)

    job = sent.finished(unlucky.publish(sent.publisher, "error"))
    task = monitor.task(job.id, "FAILURE")

    assert job.state is State.DEAD
    assert task.exception == "Attempt 3 failed with an unexpected KeyError while drawing layer PIPES."
    assert monitor.types(job.id) == ["task-started", "task-retried"] * 2 + ["task-started", "task-failed"]
    assert sent.dead_letter(job.id).id == job.id
    assert messages_left(platform, sent) == 0


def test_given_a_requeued_job_then_its_task_is_retried_and_its_message_acknowledged(
    platform: Platform, sent: Renders, monitor: Receiver
) -> None:
    platform.start_worker("render1", *INCLUDE)

    job_id = unlucky.publish(sent.publisher, "requeue")
    task = monitor.task(job_id, "RETRY")

    assert task.exception == "This worker has no luck."
    assert sent.find(job_id).state is State.QUEUED
    assert "Traceback" not in log_of(platform)
    assert messages_left(platform, sent) == 0


def test_given_a_child_that_is_killed_then_its_task_is_retried_and_then_a_success(
    platform: Platform, sent: Renders, monitor: Receiver
) -> None:
    platform.start_worker()
    job_id = sent.submit(2_000)

    os.kill(sent.child_at(job_id), signal.SIGKILL)

    assert sent.finished(job_id).state is State.SUCCEEDED
    monitor.task(job_id, "SUCCESS")
    assert monitor.types(job_id) == ["task-started", "task-retried", "task-started", "task-succeeded"]
    [retried] = [event for event in monitor.events if event["type"] == "task-retried"]
    assert "was killed from outside with SIGKILL" in retried["exception"]


def test_given_a_running_job_when_it_is_revoked_with_terminate_then_it_is_cancelled_and_never_runs_again(
    platform: Platform, sent: Renders, monitor: Receiver
) -> None:
    platform.start_worker("render1", *INCLUDE)
    job_id = unlucky.publish(sent.publisher, "slow")
    sent.child_at(job_id)

    sent.app.control.revoke(job_id, terminate=True)

    job = sent.finished(job_id)
    assert (job.state, job.error) == (State.CANCELLED, {"code": "cancelled", "detail": DETAIL})
    [attempt] = sent.history(job_id)
    assert (attempt.outcome, attempt.cause, attempt.explanation) == (Outcome.CANCELLED, None, EXPLANATION)
    monitor.task(job_id, "REVOKED")
    assert monitor.types(job_id) == ["task-started", "task-revoked"]

    other = sent.submit()
    assert sent.finished(other).state is State.SUCCEEDED
    assert list((platform.settings.var / "revocations").iterdir()) == []
    assert messages_left(platform, sent) == 0
    assert "Traceback" not in log_of(platform)


def test_given_a_waiting_job_when_it_is_revoked_then_it_is_cancelled_and_a_replay_runs(
    platform: Platform, sent: Renders, monitor: Receiver
) -> None:
    platform.start_worker("render1", *INCLUDE)
    platform.start_maintenance(maintenance_interval="1")
    blocker = unlucky.publish(sent.publisher, "slow")
    sent.child_at(blocker)
    job_id = sent.submit()

    control(platform, "revoke", job_id, blocker)

    job = sent.finished(job_id)
    assert (job.state, job.error) == (State.CANCELLED, {"code": "cancelled", "detail": DETAIL})
    assert sent.history(job_id) == []
    assert sent.find(blocker).state is State.RUNNING  # without --terminate, Celery does not interrupt a task

    control(platform, "terminate", "SIGTERM", blocker)
    assert sent.finished(blocker).state is State.CANCELLED
    monitor.task(job_id, "REVOKED")
    assert monitor.types(job_id) == ["task-started", "task-revoked"]

    assert replay(sent.ledger, sent.letters, sent.publisher, job_id, time.time())
    assert sent.finished(job_id).state is State.SUCCEEDED
