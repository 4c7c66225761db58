"""Attempts, as workers see them: claim a job by lease, renew, settle it.

An attempt's number is its fence: whatever a worker says about a job counts only while that number is the job's
current one, so a zombie that wakes up late cannot overwrite a newer attempt's outcome.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from tasks.ledger.database import Database
from tasks.ledger.jobs import as_job
from tasks.ledger.schema import attempts, jobs
from tasks.ledger.states import (
    FINAL,
    OUT_OF_MEMORY,
    UNEXPLAINED,
    WAITING,
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
from tasks.topology import LARGE


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
            known = _locked(connection, job.id)
            if known is None:
                connection.execute(insert(jobs).values(asdict(replace(job, state=State.QUEUED, updated_at=now))))
                known = _locked(connection, job.id)
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
            return Granted(_begin(connection, known, holder, now, lease))

        try:
            return self._database.write(change)
        except IntegrityError:  # two workers adopted the job at the same time: the other one was first
            return self._database.write(change)

    def renew(self, job_id: str, attempt: int, *, now: float, lease: float) -> bool:
        """Hold the job for another lease. False: the attempt was fenced out or the job was cancelled."""
        return self._database.write(
            lambda connection: _set(connection, job_id, attempt, lease_until=now + lease, updated_at=now)
        )

    def note_plan(self, job_id: str, attempt: int, *, digest: str, size: int, plan: dict[str, Any]) -> bool:
        """Record what was read from the source's header."""
        return self._database.write(
            lambda connection: _set(connection, job_id, attempt, digest=digest, size=size, plan=plan)
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
            if not _set(connection, job_id, attempt, updated_at=now, **values, **elsewhere):
                return False
            _end(connection, job_id, attempt, Outcome.RELEASED, now, cause=cause, story=story)
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

        Explains, too, an attempt that was closed as unexplained before the word of its death came through.
        """

        def change(connection: Connection) -> State | None:
            job = _locked(connection, job_id)
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
            _end(connection, job_id, number, Outcome.DIED, now, cause=cause, story=story, facts=facts)
            if not causal:
                return job.state
            # It was counted as a loss when it was closed. Whoever runs the job by now may finish.
            explained = replace(job, deaths=job.deaths + 1, losses=max(0, job.losses - 1))
            if job.state in WAITING:
                explained = self._decide(explained, cause, story, number, now)
            return _save(connection, explained).state

        return self._database.write(change)

    def history(self, job_id: str) -> list[Attempt]:
        """The attempts at a job, first to last."""
        query = select(attempts).where(attempts.c.job == job_id).order_by(attempts.c.number)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [Attempt(**{**row._mapping, "outcome": Outcome(row.outcome)}) for row in rows]

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
        _end(connection, job.id, job.attempt, Outcome.DIED, now, cause=cause, story=story, facts=facts)
        return _save(connection, decided)

    def _decide(self, job: Job, cause: str, story: str, attempt: int, now: float) -> Job:
        """The job as it is after the death of `attempt`, which is counted already: it waits again, or is dead.

        One that waits in another lane counts as never published, so the next sweep publishes it there.
        """
        hopeless, queue = False, job.queue
        if cause == OUT_OF_MEMORY:
            hopeless, queue = after_memory_death(deaths=job.deaths, queue=queue, large_lane=self._large_lane)
        state = after_death(deaths=job.deaths, losses=job.losses, max_deaths=self._max_deaths)
        dead = hopeless or state is State.DEAD
        return replace(
            job,
            state=State.DEAD if dead else state,
            queue=job.queue if dead else queue,
            published_at=job.published_at if dead or queue == job.queue else None,
            holder=None,
            lease_until=None,
            updated_at=now,
            finished_at=now if dead else None,
            error={"code": cause, "detail": f"{story} Attempt {attempt} was the last one."} if dead else None,
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
            if _set(connection, job_id, attempt, **settled, **values):
                _end(connection, job_id, attempt, outcome, now, facts=facts)
                return True
            return _already(connection, job_id, attempt, state)

        return self._database.write(change)


def _locked(connection: Connection, job_id: str) -> Job | None:
    return as_job(connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update()).one_or_none())


def _save(connection: Connection, job: Job) -> Job:
    values = {key: value for key, value in asdict(job).items() if key != "id"}
    connection.execute(update(jobs).where(jobs.c.id == job.id).values(values))
    return job


def _begin(connection: Connection, job: Job, holder: str, now: float, lease: float) -> Job:
    begun = replace(
        job, state=State.RUNNING, attempt=job.attempt + 1, holder=holder, lease_until=now + lease, updated_at=now
    )
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job.id)
        .values(state=begun.state, attempt=begun.attempt, holder=holder, lease_until=begun.lease_until, updated_at=now)
    )
    connection.execute(
        insert(attempts).values(
            job=job.id, number=begun.attempt, holder=holder, started_at=now, outcome=Outcome.RUNNING
        )
    )
    return begun


def _set(connection: Connection, job_id: str, attempt: int, **values: Any) -> bool:
    current = (jobs.c.id == job_id) & (jobs.c.attempt == attempt) & (jobs.c.state == State.RUNNING)
    return connection.execute(update(jobs).where(current).values(values)).rowcount == 1


def _already(connection: Connection, job_id: str, attempt: int, state: State) -> bool:
    """Whether this very attempt said so before: its word was committed, but the answer was lost on the way."""
    same = (jobs.c.id == job_id) & (jobs.c.attempt == attempt) & (jobs.c.state == state)
    return connection.execute(select(jobs.c.id).where(same)).first() is not None


def _end(connection: Connection, job_id: str, attempt: int, outcome: Outcome, now: float, **values: Any) -> None:
    connection.execute(
        update(attempts)
        .where(attempts.c.job == job_id, attempts.c.number == attempt)
        .values(outcome=outcome, ended_at=now, **values)
    )
