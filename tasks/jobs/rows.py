"""Statements on single rows of jobs and attempts, for use inside a transaction."""

from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, insert, select, update

from tasks.database.schema import attempts, jobs
from tasks.jobs.model import Job, Outcome, State
from tasks.jobs.repository import as_job


def lock_job(connection: Connection, job_id: str) -> Job | None:
    """The job, locked until the transaction ends; None if it is unknown."""
    return as_job(connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update()).one_or_none())


def update_job(connection: Connection, job: Job) -> Job:
    """Write every field of the job."""
    values = {key: value for key, value in asdict(job).items() if key != "id"}
    connection.execute(update(jobs).where(jobs.c.id == job.id).values(values))
    return job


def start_attempt(connection: Connection, job: Job, lease_owner: str, now: float, lease: float) -> Job:
    """Insert the next attempt at the job and update the job. Returns the updated job."""
    started = replace(
        job,
        state=State.RUNNING,
        attempt=job.attempt + 1,
        lease_owner=lease_owner,
        lease_expires_at=now + lease,
        updated_at=now,
    )
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job.id)
        .values(
            state=started.state,
            attempt=started.attempt,
            lease_owner=lease_owner,
            lease_expires_at=started.lease_expires_at,
            updated_at=now,
        )
    )
    connection.execute(
        insert(attempts).values(
            job=job.id, number=started.attempt, lease_owner=lease_owner, started_at=now, outcome=Outcome.RUNNING
        )
    )
    return started


def update_current(connection: Connection, job_id: str, attempt: int, **values: Any) -> bool:
    """Update a running job if `attempt` is still its current one. Returns whether it was."""
    current = (jobs.c.id == job_id) & (jobs.c.attempt == attempt) & (jobs.c.state == State.RUNNING)
    return connection.execute(update(jobs).where(current).values(values)).rowcount == 1


def is_finished_by(connection: Connection, job_id: str, attempt: int, state: State) -> bool:
    """Whether this attempt has recorded `state` already: the commit succeeded, but its answer was lost."""
    same = (jobs.c.id == job_id) & (jobs.c.attempt == attempt) & (jobs.c.state == state)
    return connection.execute(select(jobs.c.id).where(same)).first() is not None


def end_attempt(connection: Connection, job_id: str, attempt: int, outcome: Outcome, now: float, **values: Any) -> None:
    """Record how an attempt ended."""
    connection.execute(
        update(attempts)
        .where(attempts.c.job == job_id, attempts.c.number == attempt)
        .values(outcome=outcome, ended_at=now, **values)
    )
