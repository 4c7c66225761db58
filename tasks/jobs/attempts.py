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
    DEAD_ALREADY,
    FINAL,
    OUT_OF_MEMORY,
    UNEXPLAINED,
    Attempt,
    Claim,
    Granted,
    Held,
    Job,
    Moved,
    Outcome,
    Settled,
    State,
    Taken,
    after_death,
    after_memory_death,
    may_claim,
)
from tasks.messaging.topology import LARGE


class Attempts:
    """Every method is one transaction and may be repeated. Raises `LedgerUnavailable` when the database is away.

    `now` is seconds since the epoch, `lease` is seconds, `holder` names the worker child. With a `large_lane`, a job
    that was out of memory goes on there.
    """

    def __init__(self, database: Database, max_deaths: int, *, large_lane: bool = False) -> None:
        self._database = database
        self._max_deaths = max_deaths
        self._large_lane = large_lane

    def claim(
        self, job: Job, *, holder: str, now: float, lease: float, is_gone: Callable[[str], bool] = lambda _holder: False
    ) -> Claim:
        """Begin the next attempt at the job, which is adopted if the ledger has never heard of it.

        The job's `queue` is the lane that its message came through. Any will do, unless the ledger has moved it to the
        large one.

        `is_gone` tells whether a former holder is known to have died; its attempt then ends unexplained, and the lease
        need not run out first. So does an attempt of this very holder, which does one thing at a time: it lost the
        answer to its claim, or gave the message back when the ledger was away.
        """

        def change(connection: Connection) -> Claim:
            known = rows.locked(connection, job.id)
            if known is None:
                connection.execute(insert(jobs).values(asdict(replace(job, state=State.QUEUED, updated_at=now))))
                known = rows.locked(connection, job.id)
                assert known is not None  # noqa: S101 -- inserted in this transaction
            if (known.tenant, known.source) != (job.tenant, job.source):
                return Taken(known)
            if known.state in FINAL:
                return Settled(known)
            gone = known.holder is not None and (known.holder == holder or is_gone(known.holder))
            if not may_claim(known, now, holder_is_gone=gone):
                return Held(known)
            if known.state is State.RUNNING:
                known = self._close(connection, known, UNEXPLAINED, "Its worker vanished.", now=now, causal=False)
                if known.state in FINAL:
                    return Settled(known)
            if known.queue == LARGE != job.queue:
                return Moved(known)
            return Granted(rows.begin(connection, known, holder, now, lease))

        try:
            return self._database.write(change)
        except IntegrityError:  # two workers adopted the job at the same time: the other one was first
            return self._database.write(change)

    def renew(self, job_id: str, attempt: int, *, now: float, lease: float) -> bool:
        """Hold the job for another lease. False: the attempt was fenced out or the job was cancelled."""
        return self._database.write(
            lambda connection: rows.amend(connection, job_id, attempt, lease_until=now + lease, updated_at=now)
        )

    def note_plan(self, job_id: str, attempt: int, *, digest: str, size: int, plan: dict[str, Any]) -> bool:
        """Record what was read from the source's header."""
        return self._database.write(
            lambda connection: rows.amend(connection, job_id, attempt, digest=digest, size=size, plan=plan)
        )

    def succeed(
        self, job_id: str, attempt: int, *, now: float, artifact: str, facts: dict[str, Any] | None = None
    ) -> bool:
        """The artifacts are published. False if the attempt was fenced out."""
        return self._settle(job_id, attempt, State.SUCCEEDED, Outcome.SUCCEEDED, now, artifact=artifact, facts=facts)

    def fail(
        self, job_id: str, attempt: int, *, now: float, error: dict[str, Any], facts: dict[str, Any] | None = None
    ) -> bool:
        """The source cannot be rendered, however often one tries. False if the attempt was fenced out."""
        return self._settle(job_id, attempt, State.FAILED, Outcome.FAILED, now, error=error, facts=facts)

    def release(
        self, job_id: str, attempt: int, *, now: float, cause: str, story: str, queue: str | None = None
    ) -> bool:
        """Give the job back through no fault of its own: the store was away, it belongs in another `queue`.

        Its message is let go, so it counts as never published: the next sweep publishes it.
        """

        def change(connection: Connection) -> bool:
            values = {"state": State.QUEUED, "holder": None, "lease_until": None, "published_at": None}
            elsewhere = {"queue": queue} if queue else {}
            if not rows.amend(connection, job_id, attempt, updated_at=now, **values, **elsewhere):
                return False
            rows.end(connection, job_id, attempt, Outcome.RELEASED, now, cause=cause, story=story)
            return True

        return self._database.write(change)

    def died(
        self,
        job_id: str,
        *,
        host: str,
        pid: int,
        cause: str,
        causal: bool,
        story: str,
        now: float,
        facts: dict[str, Any] | None = None,
    ) -> State | None:
        """A worker child died at the job: count the death and decide. Answers the job's state, None if unknown.

        Explains, too, an attempt that was closed as unexplained before the word of its death came through. If that
        makes the last death allowed, the job is dead at once, and an attempt that began meanwhile no longer counts. A
        settled job stays as it was settled.
        """

        def change(connection: Connection) -> State | None:
            job = rows.locked(connection, job_id)
            if job is None:
                return None
            ours = attempts.c.holder.startswith(f"{host}:{pid}:", autoescape=True)
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
                return self._close(connection, job, cause, story, now=now, causal=causal, facts=facts).state
            rows.end(connection, job_id, number, Outcome.DIED, now, cause=cause, story=story, facts=facts)
            if not causal or job.state in FINAL:
                return job.state
            return self._count_late(connection, job, cause, story, number, now).state

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

    def _close(
        self,
        connection: Connection,
        job: Job,
        cause: str,
        story: str,
        *,
        now: float,
        causal: bool,
        facts: dict[str, Any] | None = None,
    ) -> Job:
        """End the current attempt of a running job by death, and decide what becomes of the job."""
        counted = replace(job, deaths=job.deaths + causal, losses=job.losses + (not causal))
        decided = self._decide(counted, cause, story, job.attempt, now)
        if decided.queue != job.queue:
            story = f"{story} It goes on in {decided.queue}, inside a larger fence."
        rows.end(connection, job.id, job.attempt, Outcome.DIED, now, cause=cause, story=story, facts=facts)
        return rows.save(connection, decided)

    def _count_late(self, connection: Connection, job: Job, cause: str, story: str, attempt: int, now: float) -> Job:
        """Count a death that was taken for a loss when its attempt was closed. Whoever runs the job may go on with it,
        unless it is dead by this.
        """
        counted = replace(job, deaths=job.deaths + 1, losses=max(0, job.losses - 1))
        decided = self._decide(counted, cause, story, attempt, now)
        if job.state is not State.RUNNING:
            return rows.save(connection, decided)
        if decided.state is not State.DEAD:
            return rows.save(connection, counted)
        needless = f"The death of attempt {attempt}, of which word came late, was the last one allowed."
        rows.end(connection, job.id, job.attempt, Outcome.CANCELLED, now, cause=DEAD_ALREADY, story=needless)
        return rows.save(connection, decided)

    def _decide(self, job: Job, cause: str, story: str, attempt: int, now: float) -> Job:
        """The job as it is after the death of `attempt`, which is counted already: it waits again, or is dead.

        One that waits in another lane counts as never published, so the next sweep publishes it there.
        """
        hopeless, queue = False, job.queue
        if cause == OUT_OF_MEMORY:
            hopeless, queue = after_memory_death(deaths=job.deaths, queue=queue, large_lane=self._large_lane)
        state = after_death(deaths=job.deaths, losses=job.losses, max_deaths=self._max_deaths)
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
            holder=None,
            lease_until=None,
            updated_at=now,
            finished_at=now if dead else None,
            error={"code": cause, "detail": f"{story} {end}"} if dead else None,
        )

    def _settle(
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
            settled = {"state": state, "finished_at": now, "updated_at": now, "holder": None, "lease_until": None}
            if rows.amend(connection, job_id, attempt, **settled, **values):
                rows.end(connection, job_id, attempt, outcome, now, facts=facts)
                return True
            return rows.is_settled_by(connection, job_id, attempt, state)

        return self._database.write(change)
