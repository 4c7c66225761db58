"""Taking a job away: cancel it while it is open, remove it with all it left once it is settled."""

from __future__ import annotations

from tasks.jobs import Job
from tasks.jobs.retention import remove_job
from web.dependencies import Services

CANCELLED = {"code": "cancelled", "detail": "The job was cancelled by request."}


def cancel_or_remove(house: Services, job: Job) -> bool:
    """True: the job is now cancelled. False: it was settled, and is gone with its source and artifacts.

    Files that another job refers to are kept.
    """
    jobs = house.ledger.jobs
    if jobs.cancel(job.id, house.clock(), error=CANCELLED):
        return True
    settled = jobs.find(job.id) or job  # it may have succeeded since it was looked up
    remove_job(house.ledger, house.store, settled)
    return False
