"""Removing what a job left in the store, as far as nobody else refers to it."""

from uuid import UUID

from tasks.jobs import Job, Ledger
from tasks.renders import artifact_prefix, source_key
from tasks.storage import Store


def remove_job(ledger: Ledger, store: Store, job: Job) -> None:
    """Remove a settled job with its source and outputs; what another job refers to is kept.

    The ledger goes first: what is left in the store after a crash in between belongs to nobody, and
    `bulkhead reconcile` finds it.
    """
    ledger.jobs.remove(job.id)
    if job.artifact and not ledger.jobs.is_artifact_in_use(job.tenant, job.artifact):
        store.delete_tree(artifact_prefix(job.tenant, job.artifact))
    if not ledger.jobs.is_source_in_use(job.source):
        store.delete(job.source)


def source_job_id(key: str) -> str | None:
    """Id of the job that the intake stored this source for; None where somebody put it there to keep it."""
    _sources, tenant, *name = key.split("/")
    if len(name) != 1:
        return None
    try:
        job_id = str(UUID(name[0]))
    except ValueError:
        return None
    return job_id if source_key(tenant, job_id) == key else None
