"""Attempts, as workers see them: claim a job by lease, renew, settle it.

An attempt's number is its fence: whatever a worker says about a job counts only while that number is the job's
current one, so a zombie that wakes up late cannot overwrite a newer attempt's outcome.
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
    """Every method is one transaction and may be repeated. Raises `LedgerUnavailable` when the database is away.

    `now` is seconds since the epoch, `lease` is seconds, `holder` names the worker child. With a `large_lane`, a job
    that was out of memory goes on there.
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
        is_dead: Callable[[str], bool] = lambda _holder: False,
    ) -> Claim:
        """Begin the next attempt at the job, which is adopted if the ledger has never heard of it.

        The job's `queue` is the lane that its message came through. Any will do, unless the ledger has moved it to the
        large one.

        `is_gone` tells whether a former holder is known to have died; its attempt then ends unexplained, and the lease
        need not run out first. So does an attempt of this very holder, which does one thing at a time: it lost the
        answer to its claim, or gave the message back when the ledger was away.
        """

        def change(connection: Connection) -> Claim:
            known = rows.lock_job(connection, job.id)
            if known is None:
                connection.execute(insert(jobs).values(asdict(replace(job, state=State.QUEUED, updated_at=now))))
                known = rows.lock_job(connection, job.id)
                assert known is not None  # noqa: S101 -- inserted in this transaction
            if (known.tenant, known.source) != (job.tenant, job.source):
                return IdConflict(known)
            if known.state in FINAL:
                return Finished(known)
            gone = known.lease_owner is not None and (known.lease_owner == lease_owner or is_dead(known.lease_owner))
            if not may_claim(known, now, owner_is_dead=gone):
                return Leased(known)
            if known.state is State.RUNNING:
                known = self._end_crashed(
                    connection, known, UNEXPLAINED, "Its worker vanished.", now=now, job_at_fault=False
                )
                if known.state in FINAL:
                    return Finished(known)
            if known.queue == LARGE != job.queue:
                return Rerouted(known)
            return Claimed(rows.start_attempt(connection, known, lease_owner, now, lease))

        try:
            return self._database.write(change)
        except IntegrityError:  # two workers adopted the job at the same time: the other one was first
            return self._database.write(change)

    def renew(self, job_id: str, attempt: int, *, now: float, lease: float) -> bool:
        """Hold the job for another lease. False: the attempt was fenced out or the job was cancelled."""
        return self._database.write(
            lambda connection: rows.update_current(
                connection, job_id, attempt, lease_expires_at=now + lease, updated_at=now
            )
        )

    def record_plan(self, job_id: str, attempt: int, *, digest: str, size: int, plan: dict[str, Any]) -> bool:
        """Record what was read from the source's header."""
        return self._database.write(
            lambda connection: rows.update_current(connection, job_id, attempt, digest=digest, size=size, plan=plan)
        )

    def succeed(
        self, job_id: str, attempt: int, *, now: float, artifact: str, facts: dict[str, Any] | None = None
    ) -> bool:
        """The artifacts are published. False if the attempt was fenced out."""
        return self._finish(job_id, attempt, State.SUCCEEDED, Outcome.SUCCEEDED, now, artifact=artifact, facts=facts)

    def fail(
        self, job_id: str, attempt: int, *, now: float, error: dict[str, Any], facts: dict[str, Any] | None = None
    ) -> bool:
        """The source cannot be rendered, however often one tries. False if the attempt was fenced out."""
        return self._finish(job_id, attempt, State.FAILED, Outcome.FAILED, now, error=error, facts=facts)

    def requeue(
        self, job_id: str, attempt: int, *, now: float, cause: str, explanation: str, queue: str | None = None
    ) -> bool:
        """Give the job back through no fault of its own: the store was away, it belongs in another `queue`.

        Its message is let go, so it counts as never published: the next sweep publishes it.
        """

        def change(connection: Connection) -> bool:
            values = {"state": State.QUEUED, "lease_owner": None, "lease_expires_at": None, "published_at": None}
            elsewhere = {"queue": queue} if queue else {}
            if not rows.update_current(connection, job_id, attempt, updated_at=now, **values, **elsewhere):
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
        """A worker child died at the job: count the death and decide. Answers the job's state, None if unknown.

        Explains, too, an attempt that was closed as unexplained before the word of its death came through. If that
        makes the last death allowed, the job is dead at once, and an attempt that began meanwhile no longer counts. A
        settled job stays as it was settled.
        """

        def change(connection: Connection) -> State | None:
            job = rows.lock_job(connection, job_id)
            if job is None:
                return None
            ours = attempts.c.lease_owner.startswith(f"{host}:{pid}:", autoescape=True)
            pending = (attempts.c.outcome == Outcome.RUNNING) | (attempts.c.cause == UNEXPLAINED)
            number = connection.execute(
                select(attempts.c.number)
                .where(attempts.c.job == job_id, ours, pending)
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
        """The attempts at a job, first to last."""
        query = select(attempts).where(attempts.c.job == job_id).order_by(attempts.c.number)
        found = self._database.read(lambda connection: connection.execute(query).all())
        return [Attempt(**{**row._mapping, "outcome": Outcome(row.outcome)}) for row in found]

    def durations(self, queue: str, limit: int = 10_000) -> list[float]:
        """Seconds that the last successful attempts at jobs of the queue took."""
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
        """End the current attempt of a running job by death, and decide what becomes of the job."""
        counted = replace(job, crashes=job.crashes + job_at_fault, worker_losses=job.worker_losses + (not job_at_fault))
        decided = self._after_crash(counted, cause, explanation, job.attempt, now)
        if decided.queue != job.queue:
            explanation = f"{explanation} It goes on in {decided.queue}, inside a larger fence."
        rows.end_attempt(
            connection, job.id, job.attempt, Outcome.CRASHED, now, cause=cause, explanation=explanation, facts=facts
        )
        return rows.update_job(connection, decided)

    def _count_late_crash(
        self, connection: Connection, job: Job, cause: str, explanation: str, attempt: int, now: float
    ) -> Job:
        """Count a death that was taken for a loss when its attempt was closed. Whoever runs the job may go on with it,
        unless it is dead by this.
        """
        counted = replace(job, crashes=job.crashes + 1, worker_losses=max(0, job.worker_losses - 1))
        decided = self._after_crash(counted, cause, explanation, attempt, now)
        if job.state is not State.RUNNING:
            return rows.update_job(connection, decided)
        if decided.state is not State.DEAD:
            return rows.update_job(connection, counted)
        needless = f"The death of attempt {attempt}, of which word came late, was the last one allowed."
        rows.end_attempt(
            connection, job.id, job.attempt, Outcome.CANCELLED, now, cause=JOB_ALREADY_DEAD, explanation=needless
        )
        return rows.update_job(connection, decided)

    def _after_crash(self, job: Job, cause: str, explanation: str, attempt: int, now: float) -> Job:
        """The job as it is after the death of `attempt`, which is counted already: it waits again, or is dead.

        One that waits in another lane counts as never published, so the next sweep publishes it there.
        """
        hopeless, queue = False, job.queue
        if cause == OUT_OF_MEMORY:
            hopeless, queue = queue_after_out_of_memory(
                crashes=job.crashes, queue=queue, has_large_queue=self._has_large_queue
            )
        state = state_after_crash(crashes=job.crashes, worker_losses=job.worker_losses, max_crashes=self._max_crashes)
        dead = hopeless or state is State.DEAD
        late = attempt != job.attempt
        end = (
            "Word of that came late; it was the last death allowed." if late else f"Attempt {attempt} was the last one."
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
            error={"code": cause, "detail": f"{explanation} {end}"} if dead else None,
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
            settled = {
                "state": state,
                "finished_at": now,
                "updated_at": now,
                "lease_owner": None,
                "lease_expires_at": None,
            }
            if rows.update_current(connection, job_id, attempt, **settled, **values):
                rows.end_attempt(connection, job_id, attempt, outcome, now, facts=facts)
                return True
            return rows.is_finished_by(connection, job_id, attempt, state)

        return self._database.write(change)
