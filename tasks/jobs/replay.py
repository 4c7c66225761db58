"""Trying a dead job again, after whatever killed it was mended."""

from __future__ import annotations

from typing import Any, Protocol

from tasks.jobs import Job, Ledger
from tasks.renders import TASK, message_of


class Publishes(Protocol):
    """The part of `tasks.messaging.publisher.Publisher` that is used here."""

    def publish(self, task: str, job_id: str, message: dict[str, Any], *, queue: str | None = None) -> None: ...


class Drops(Protocol):
    """The part of `tasks.messaging.dead_letters.DeadLetters` that is used here."""

    def drop(self, letter_id: str) -> int: ...


def replay(ledger: Ledger, letters: Drops, publisher: Publishes, job_id: str, now: float) -> Job | None:
    """Publish a dead job again and take its dead letter away; the job as it is then, None if it is not dead.

    Raises LedgerUnavailable, BrokerUnavailable. Once the ledger has it, upkeep publishes what was not published.
    """
    if not ledger.jobs.replay(job_id, now):
        return None
    job = ledger.jobs.find(job_id)
    if job is None:
        return None  # removed this very moment
    letters.drop(job_id)
    publisher.publish(TASK, job_id, message_of(job).model_dump(mode="json"), queue=job.queue)
    ledger.jobs.published(job_id, now)
    return ledger.jobs.find(job_id)
