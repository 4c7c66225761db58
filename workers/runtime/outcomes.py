"""Outcomes of an attempt that its task raises after the ledger has recorded them, so that Celery's events show them.

outcome of the attempt              raised              event           in Flower   message
succeeded                           -                   task-succeeded  SUCCESS     acknowledged
failed                              JobFailed           task-failed     FAILURE     acknowledged
crashed, and the job is dead        JobDead             task-failed     FAILURE     dead-lettered
cancelled                           JobCancelled        task-revoked    REVOKED     acknowledged
requeued, or in another queue       Retry               task-retried    RETRY       acknowledged
crashed, or the ledger is down      Reject(requeue)     task-retried    RETRY       requeued
its child ended                     (by the parent)     task-retried    RETRY       requeued
another attempt decides             Ignore              -               unchanged   acknowledged
"""

from tasks.errors import Conflict, JobFailed
from tasks.jobs import Job, State


class JobDead(JobFailed):
    """The job is dead: it has used all its attempts."""

    code = "job-dead"


class JobCancelled(Conflict):
    """The job was cancelled."""

    code = "job-cancelled"


def raise_final_state(job: Job) -> None:
    """Raise JobFailed, JobDead or JobCancelled if that is the state of the job."""
    outcomes = {State.FAILED: JobFailed, State.DEAD: JobDead, State.CANCELLED: JobCancelled}
    if outcome := outcomes.get(job.state):
        raise outcome((job.error or {}).get("detail"))
