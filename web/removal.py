"""Cancels an open job, or removes a finished job with its files."""

from __future__ import annotations

from tasks.jobs import Job
from tasks.jobs.removal import remove_job
from web.dependencies import Services

CANCELLED = {"code": "cancelled", "detail": "The job was cancelled by request."}


def cancel_or_remove(services: Services, job: Job) -> bool:
    """Returns True if the job was open and is now cancelled, False if it was finished and is now removed.

    Its source and artifacts are removed with it, except files that another job uses.
    """
    jobs = services.ledger.jobs
    if jobs.cancel(job.id, services.clock(), error=CANCELLED):
        return True
    settled = jobs.find(job.id) or job  # it may have succeeded in the meantime
    remove_job(services.ledger, services.store, settled)
    return False
