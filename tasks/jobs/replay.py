"""Replaying a failed, dead or cancelled job, after its cause was fixed."""

from __future__ import annotations

from typing import Any, Protocol

from tasks.jobs import Job, Ledger
from tasks.jobs.messages import render_message
from tasks.renders import TASK


class TaskPublisher(Protocol):
    """The part of `tasks.messaging.publisher.Publisher` that is used here."""

    def publish(self, task: str, job_id: str, message: dict[str, Any], *, queue: str | None = None) -> None: ...


class DeadLetterDeleter(Protocol):
    """The part of `tasks.messaging.dead_letters.DeadLetters` that is used here."""

    def delete(self, message_id: str) -> int: ...


def replay(
    ledger: Ledger, dead_letters: DeadLetterDeleter, publisher: TaskPublisher, job_id: str, now: float
) -> Job | None:
    """Publish the job again and delete its dead letter. Returns the job as it is then, None if it cannot be replayed.

    Raises LedgerUnavailable and PublishError. If publishing fails, the job is accepted and maintenance publishes it.
    """
    if not ledger.jobs.replay(job_id, now):
        return None
    job = ledger.jobs.find(job_id)
    if job is None:
        return None  # removed by another request meanwhile
    dead_letters.delete(job_id)
    publisher.publish(TASK, job_id, render_message(job).model_dump(mode="json"), queue=job.queue)
    ledger.jobs.mark_published(job_id, now)
    return ledger.jobs.find(job_id)
