"""Taking a job away: cancel it while it is open, remove it with all it left once it is settled."""

from __future__ import annotations

from tasks.ledger import Job
from tasks.renders import artifact_prefix
from web.services import Services

CANCELLED = {"code": "cancelled", "detail": "The job was cancelled by request."}


def take_away(house: Services, job: Job) -> bool:
    """True: the job is now cancelled. False: it was settled, and is gone with its source and artifacts.

    Files that another job refers to are kept.
    """
    jobs = house.ledger.jobs
    if jobs.cancel(job.id, house.clock(), error=CANCELLED):
        return True
    settled = jobs.find(job.id) or job  # it may have succeeded since it was looked up
    jobs.remove(job.id)
    if settled.artifact and not jobs.artifact_in_use(job.tenant, settled.artifact):
        house.store.delete_tree(artifact_prefix(job.tenant, settled.artifact))
    if not jobs.source_in_use(job.source):
        house.store.delete(job.source)
    return False
