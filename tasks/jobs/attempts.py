"""Attempts at jobs: claim a job with a lease, renew the lease, record the result.

An attempt's number is its fencing token: a worker can change a job only while that number is the job's current attempt,
so a stalled worker that resumes late cannot overwrite the result of a newer attempt.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from tasks.database.engine import Database
from tasks.database.schema import attempts, jobs
from tasks.jobs import rows
from tasks.jobs.model import (
    FINAL,
    JOB_ALREADY_DEAD,
    OUT_OF_MEMORY,
    UNEXPLAINED,
    Attempt,
    Claim,
    Claimed,
    Finished,
    IdConflict,
    Job,
    Leased,
    Outcome,
    Rerouted,
    State,
    may_claim,
    queue_after_out_of_memory,
    state_after_crash,
)
from tasks.messaging.topology import LARGE


class Attempts:
    """Every method is one transaction and may be repeated. Raises LedgerError.

    `now` is in seconds since the epoch, `lease` in seconds; `lease_owner` names the worker child. With
    `has_large_queue`, a job that ran out of memory continues in the queue `render.large`.
    """

    def __init__(self, database: Database, max_crashes: int, *, has_large_queue: bool = False) -> None:
        self._database = database
        self._max_crashes = max_crashes
        self._has_large_queue = has_large_queue

    def claim(
        self,
        job: Job,
        *,
        lease_owner: str,
        now: float,
        lease: float,
        is_dead: Callable[[str], bool] = lambda _owner: False,
    ) -> Claim:
        """Start the next attempt at the job. A job that is not in the ledger is added first.

        `job.queue` is the queue that delivered the message. Any queue will do, unless the ledger has moved the job to
        the large one.

        If `is_dead` knows the present lease owner to be dead, its attempt ends unexplained and the lease need not
        expire first. The same holds for an attempt of this very owner, which does one thing at a time: it never got
        the answer to its claim, or requeued the message while the ledger was unavailable.
        """

        def change(connection: Connection) -> Claim:
            stored = rows.lock_job(connection, job.id)
            if stored is None:
                connection.execute(insert(jobs).values(asdict(replace(job, state=State.QUEUED, updated_at=now))))
                stored = rows.lock_job(connection, job.id)
                assert stored is not None  # noqa: S101 -- inserted in this transaction
            if (stored.tenant, stored.source) != (job.tenant, job.source):
                return IdConflict(stored)
            if stored.state in FINAL:
                return Finished(stored)
            owner = stored.lease_owner
            owner_is_dead = owner is not None and (owner == lease_owner or is_dead(owner))
            if not may_claim(stored, now, owner_is_dead=owner_is_dead):
                return Leased(stored)
            if stored.state is State.RUNNING:
                stored = self._end_crashed(
                    connection,
                    stored,
                    UNEXPLAINED,
                    "Its worker ended without a crash report.",
                    now=now,
                    job_at_fault=False,
                )
                if stored.state in FINAL:
                    return Finished(stored)
            if stored.queue == LARGE != job.queue:
                return Rerouted(stored)
            return Claimed(rows.start_attempt(connection, stored, lease_owner, now, lease))

        try:
            return self._database.write(change)
        except IntegrityError:  # another worker added the job at the same moment
            return self._database.write(change)

    def renew(self, job_id: str, attempt: int, *, now: float, lease: float) -> bool:
        """Extend the lease. False if the attempt is no longer the current one or the job was cancelled."""
        return self._database.write(
            lambda connection: rows.update_current(
                connection, job_id, attempt, lease_expires_at=now + lease, updated_at=now
            )
        )

    def record_plan(self, job_id: str, attempt: int, *, digest: str, size: int, plan: dict[str, Any]) -> bool:
        """Record the plan made from the source's header. False if the attempt is no longer the current one."""
        return self._database.write(
            lambda connection: rows.update_current(connection, job_id, attempt, digest=digest, size=size, plan=plan)
        )

    def succeed(
        self, job_id: str, attempt: int, *, now: float, artifact: str, facts: dict[str, Any] | None = None
    ) -> bool:
        """Record that the artifacts are published. False if the attempt is no longer the current one."""
        return self._finish(job_id, attempt, State.SUCCEEDED, Outcome.SUCCEEDED, now, artifact=artifact, facts=facts)

    def fail(
        self, job_id: str, attempt: int, *, now: float, error: dict[str, Any], facts: dict[str, Any] | None = None
    ) -> bool:
        """Record that no attempt can render the source. False if the attempt is no longer the current one."""
        return self._finish(job_id, attempt, State.FAILED, Outcome.FAILED, now, error=error, facts=facts)

    def requeue(
        self, job_id: str, attempt: int, *, now: float, cause: str, explanation: str, queue: str | None = None
    ) -> bool:
        """Return the job to the ledger, through no fault of its own: the store is unavailable, or it belongs to another
        `queue`.

        Its message is acknowledged, so the job counts as never published and the next sweep publishes it.
        """

        def change(connection: Connection) -> bool:
            values: dict[str, Any] = {"queue": queue} if queue else {}
            values |= {"state": State.QUEUED, "lease_owner": None, "lease_expires_at": None, "published_at": None}
            if not rows.update_current(connection, job_id, attempt, updated_at=now, **values):
                return False
            rows.end_attempt(connection, job_id, attempt, Outcome.REQUEUED, now, cause=cause, explanation=explanation)
            return True

        return self._database.write(change)

    def record_crash(
        self,
        job_id: str,
        *,
        host: str,
        pid: int,
        cause: str,
        job_at_fault: bool,
        explanation: str,
        now: float,
        facts: dict[str, Any] | None = None,
    ) -> State | None:
        """Record that a worker child died during the job. Returns the job's new state, None for an unknown job.

        A report that arrives after the attempt was closed as unexplained still explains it. If that makes one crash too
        many, the job is dead at once and an attempt that started meanwhile no longer counts. A finished job keeps its
        state.
        """

        def change(connection: Connection) -> State | None:
            job = rows.lock_job(connection, job_id)
            if job is None:
                return None
            by_this_child = attempts.c.lease_owner.startswith(f"{host}:{pid}:", autoescape=True)
            pending = (attempts.c.outcome == Outcome.RUNNING) | (attempts.c.cause == UNEXPLAINED)
            number = connection.execute(
                select(attempts.c.number)
                .where(attempts.c.job == job_id, by_this_child, pending)
                .order_by(attempts.c.number.desc())
                .limit(1)
            ).scalar()
            if number is None:
                return job.state
            if number == job.attempt and job.state is State.RUNNING:
                return self._end_crashed(
                    connection, job, cause, explanation, now=now, job_at_fault=job_at_fault, facts=facts
                ).state
            rows.end_attempt(
                connection, job_id, number, Outcome.CRASHED, now, cause=cause, explanation=explanation, facts=facts
            )
            if not job_at_fault or job.state in FINAL:
                return job.state
            return self._count_late_crash(connection, job, cause, explanation, number, now).state

        return self._database.write(change)

    def history(self, job_id: str) -> list[Attempt]:
        """The attempts at a job, oldest first."""
        query = select(attempts).where(attempts.c.job == job_id).order_by(attempts.c.number)
        history = self._database.read(lambda connection: connection.execute(query).all())
        return [Attempt(**{**row._mapping, "outcome": Outcome(row.outcome)}) for row in history]

    def durations(self, queue: str, limit: int = 10_000) -> list[float]:
        """Durations in seconds of the last successful attempts at jobs of the queue."""
        query = (
            select(attempts.c.ended_at - attempts.c.started_at)
            .join(jobs, jobs.c.id == attempts.c.job)
            .where(attempts.c.outcome == Outcome.SUCCEEDED, jobs.c.queue == queue)
            .order_by(attempts.c.ended_at.desc())
            .limit(limit)
        )
        return self._database.read(lambda connection: list(connection.execute(query).scalars()))

    def _end_crashed(
        self,
        connection: Connection,
        job: Job,
        cause: str,
        explanation: str,
        *,
        now: float,
        job_at_fault: bool,
        facts: dict[str, Any] | None = None,
    ) -> Job:
        """End the current attempt of a running job as crashed, and decide the job's next state."""
        counted = replace(job, crashes=job.crashes + job_at_fault, worker_losses=job.worker_losses + (not job_at_fault))
        decided = self._after_crash(counted, cause, explanation, job.attempt, now)
        if decided.queue != job.queue:
            explanation = f"{explanation} It continues in {decided.queue}, with a larger memory limit."
        rows.end_attempt(
            connection, job.id, job.attempt, Outcome.CRASHED, now, cause=cause, explanation=explanation, facts=facts
        )
        return rows.update_job(connection, decided)

    def _count_late_crash(
        self, connection: Connection, job: Job, cause: str, explanation: str, attempt: int, now: float
    ) -> Job:
        """Count a crash that was counted as a worker loss when its attempt was closed.

        A running attempt continues, unless this crash makes the job dead.
        """
        counted = replace(job, crashes=job.crashes + 1, worker_losses=max(0, job.worker_losses - 1))
        decided = self._after_crash(counted, cause, explanation, attempt, now)
        if job.state is not State.RUNNING:
            return rows.update_job(connection, decided)
        if decided.state is not State.DEAD:
            return rows.update_job(connection, counted)
        explanation = f"Attempt {attempt} crashed. Its crash report arrived late and ended the job."
        rows.end_attempt(
            connection, job.id, job.attempt, Outcome.CANCELLED, now, cause=JOB_ALREADY_DEAD, explanation=explanation
        )
        return rows.update_job(connection, decided)

    def _after_crash(self, job: Job, cause: str, explanation: str, attempt: int, now: float) -> Job:
        """The job after the crash of `attempt`, which is counted already: it waits again, or is dead.

        A job that waits in another queue counts as never published, so the next sweep publishes it there.
        """
        beyond_help, queue = False, job.queue
        if cause == OUT_OF_MEMORY:
            beyond_help, queue = queue_after_out_of_memory(
                crashes=job.crashes, queue=queue, has_large_queue=self._has_large_queue
            )
        state = state_after_crash(crashes=job.crashes, worker_losses=job.worker_losses, max_crashes=self._max_crashes)
        dead = beyond_help or state is State.DEAD
        is_late = attempt != job.attempt
        ending = (
            "The crash report arrived after a later attempt had started; the job has used all its attempts."
            if is_late
            else f"Attempt {attempt} was the last one."
        )
        return replace(
            job,
            state=State.DEAD if dead else state,
            queue=job.queue if dead else queue,
            published_at=job.published_at if dead or queue == job.queue else None,
            lease_owner=None,
            lease_expires_at=None,
            updated_at=now,
            finished_at=now if dead else None,
            error={"code": cause, "detail": f"{explanation} {ending}"} if dead else None,
        )

    def _finish(
        self,
        job_id: str,
        attempt: int,
        state: State,
        outcome: Outcome,
        now: float,
        *,
        facts: dict[str, Any] | None,
        **values: Any,
    ) -> bool:
        def change(connection: Connection) -> bool:
            finished = {
                "state": state,
                "finished_at": now,
                "updated_at": now,
                "lease_owner": None,
                "lease_expires_at": None,
            }
            if rows.update_current(connection, job_id, attempt, **finished, **values):
                rows.end_attempt(connection, job_id, attempt, outcome, now, facts=facts)
                return True
            return rows.is_finished_by(connection, job_id, attempt, state)

        return self._database.write(change)
