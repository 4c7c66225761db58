"""Attempts at a job on a real ledger, for tests."""

from typing import Any

from tasks.jobs import Job, Outcome, State
from tasks.messaging.progress import ProgressMessage, ProgressPublisher
from workers.runtime.attempt import JobRun, Result
from workers.runtime.worker_context import WorkerContext

ID = "0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10"
JOB = Job(ID, "acme", State.QUEUED, "sources/acme/x", "", {}, created_at=1.0, updated_at=1.0)


class FakePublisher(ProgressPublisher):
    """Records progress messages."""

    def __init__(self) -> None:
        self.published: list[ProgressMessage] = []

    def publish(self, progress: ProgressMessage) -> None:
        self.published.append(progress)


def job_of(context: WorkerContext) -> Job:
    """The job as it is in the ledger."""
    job = context.ledger.jobs.find(JOB.id)
    assert job is not None
    return job


def published(context: WorkerContext) -> list[ProgressMessage]:
    """The progress messages so far."""
    assert isinstance(context.progress_publisher, FakePublisher)
    return context.progress_publisher.published


def outcomes(context: WorkerContext) -> list[tuple[Outcome, str | None]]:
    """Outcomes and causes of all attempts."""
    return [(attempt.outcome, attempt.cause) for attempt in context.ledger.attempts.history(JOB.id)]


def raising(error: Exception) -> Any:
    """Work that raises an error."""

    def work(_run: JobRun) -> Result:
        raise error

    return work


def succeed(_run: JobRun) -> Result:
    """Work that succeeds."""
    return Result("a" * 64, {"seconds": 1})
