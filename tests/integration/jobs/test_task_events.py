"""What Celery's events, and therefore Flower, say about a job is what the ledger says."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery.events.state import State as EventsState
from kombu import Connection

from tasks.jobs import Outcome, State
from tests.integration.jobs.renders import HEAVY, Renders, eventually
from tests.services.platform import ROOT, Platform, queue_depth

pytestmark = [pytest.mark.service, pytest.mark.timeout(150)]

# Lines of a drawing that renders for a minute unless it is interrupted.
ENDLESS = 20 * HEAVY


class Monitor:
    """Receives task events like Flower."""

    def __init__(self, sent: Renders) -> None:
        self.state = EventsState()
        self.events: list[dict[str, Any]] = []
        self._app = sent.app
        self._stopped = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Monitor":
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopped.set()
        self._thread.join()

    def task(self, job_id: str, state: str) -> Any:
        """Wait until the task of this job has this state, and return it."""

        def poll() -> Any:
            task = self.state.tasks.get(job_id)
            return task if task is not None and task.state == state else None

        return eventually(poll, 30)

    def types(self, job_id: str) -> list[str]:
        """The events of this job, without the state of its message."""
        hidden = ("task-sent", "task-rejected")
        return [each["type"] for each in self.events if each.get("uuid") == job_id and each["type"] not in hidden]

    def _run(self) -> None:
        with self._app.connection_for_read() as connection:
            receiver = self._app.events.Receiver(connection, handlers={"*": self._receive})
            capture = receiver.itercapture(limit=None, timeout=None, wakeup=False)
            del capture
            with receiver.consumer_context() as (_connection, _channel, _consumers):
                self._ready.set()
                while not self._stopped.is_set():
                    try:
                        connection.drain_events(timeout=0.2)
                    except TimeoutError:
                        continue

    def _receive(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self.state.event(event)


@pytest.fixture
def monitor(platform: Platform, sent: Renders) -> Iterator[Monitor]:
    with Monitor(sent) as monitor:
        yield monitor


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


def log_of(platform: Platform) -> str:
    return (platform.directory / "log" / "render1.log").read_text()


def assert_settled(platform: Platform) -> None:
    """No message is ready or unacknowledged in the queue."""
    eventually(lambda: queue_depth(platform.broker_url) == (0, 0), 20)


def test_given_a_render_that_fails_then_its_task_is_a_failure_with_the_same_sentence(
    platform: Platform, sent: Renders, monitor: Monitor
) -> None:
    platform.start_worker()
    message = sent.make()
    sent.store.put(message.source, b"  0\nSECTION\n", replace=True) if False else None
    sent.accept(message)
    (platform.store / message.source).unlink()
    sent.publish(message)

    job = sent.finished(message.job)
    task = monitor.task(message.job, "FAILURE")

    assert job.state is State.FAILED
    assert job.error is not None
    assert (task.exception, task.traceback) == (job.error["detail"], "")
    assert task.exception == "The blueprint is no longer in the store. Send it again."
    assert_settled(platform)
    assert sent.letters.peek() == []
    assert monitor.types(message.job) == ["task-received", "task-started", "task-failed"]
    assert "Traceback" not in log_of(platform)
