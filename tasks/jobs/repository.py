"""Jobs, as publishers, operators and maintenance see them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.exc import DataError, IntegrityError

from tasks.database.engine import Database
from tasks.database.schema import attempts, idempotency_keys, jobs
from tasks.jobs.model import FINAL, OPEN, REPLAYABLE, WAITING, Job, Outcome, State, is_stale
from tasks.messaging.topology import RENDER
from tasks.renders import ALL_LAYERS
from tasks.utils.group_commit import GroupCommit

# How far back, in patiences, to look for what the workers took last.
LOOKBACK_FACTOR = 10

# Compiled once: it runs on every request of the intake.
_INSERT = insert(jobs)


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs, newest first; `next` continues after the last one, None at the end."""

    jobs: list[Job]
    next: tuple[float, str] | None


class Jobs:
    """Accepting, finding, cancelling, removing and replaying jobs. Every method is one transaction.

    Raises `LedgerUnavailable` when the database does not answer. `now` is seconds since the epoch.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._group_commit = GroupCommit(self._insert, item_errors=(IntegrityError, DataError))

    def accept(self, job: Job) -> None:
        """Record a new job. Raises as they are: IntegrityError, for one that is there already, and DataError."""
        self._group_commit.commit(job)

    def mark_published(self, job_id: str, now: float) -> None:
        """The broker has confirmed the job's message. A worker may have claimed it before this is known."""
        waiting = (
            update(jobs)
            .where(jobs.c.id == job_id)
            .values(published_at=now, publications=jobs.c.publications + 1, updated_at=now)
        )
        accepted = update(jobs).where(jobs.c.id == job_id, jobs.c.state == State.ACCEPTED).values(state=State.QUEUED)

        def change(connection: Connection) -> None:
            connection.execute(waiting)
            connection.execute(accepted)

        self._database.write(change)

    def find(self, job_id: str, tenant: str | None = None) -> Job | None:
        """The job, or None; with a tenant, only if it is theirs."""
        query = select(jobs).where(jobs.c.id == job_id)
        if tenant is not None:
            query = query.where(jobs.c.tenant == tenant)
        return self._database.read(lambda connection: as_job(connection.execute(query).one_or_none()))

    def page(
        self,
        tenant: str | None = None,
        *,
        after: tuple[float, str] | None = None,
        limit: int = 50,
        search: str = "",
        states: Sequence[State] = (),
        include_tile_jobs: bool = True,
    ) -> Page:
        """Jobs, newest first. `search` is a part of the file name or the start of an id; without `parts` those that
        only cut tiles of one layer are left out."""
        conditions: list[ColumnElement[bool]] = []
        if tenant is not None:
            conditions.append(jobs.c.tenant == tenant)
        if states:
            conditions.append(jobs.c.state.in_(states))
        if search:
            conditions.append(
                or_(jobs.c.filename.icontains(search, autoescape=True), jobs.c.id.startswith(search, autoescape=True))
            )
        if not include_tile_jobs:
            conditions.append(func.coalesce(jobs.c.options["tile_layer"].as_integer(), ALL_LAYERS) == ALL_LAYERS)
        if after is not None:
            conditions.append(tuple_(jobs.c.created_at, jobs.c.id) < tuple_(*after))
        query = select(jobs).where(*conditions).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit + 1)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        found = _as_jobs(rows[:limit])
        return Page(found, (found[-1].created_at, found[-1].id) if len(rows) > limit else None)

    def count_by_state(self, tenant: str | None = None) -> dict[State, int]:
        """How many jobs are in each state."""
        query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        if tenant is not None:
            query = query.where(jobs.c.tenant == tenant)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return dict.fromkeys(State, 0) | {State(state): count for state, count in rows}

    def count_open(self, tenant: str) -> int:
        """How many jobs of the tenant wait or run."""
        return self._count(jobs.c.tenant == tenant, jobs.c.state.in_(OPEN))

    def count_waiting(self, tenant: str, queue: str) -> int:
        """How many jobs of the tenant wait for a worker of the queue, in it or in the ledger."""
        return self._count(jobs.c.tenant == tenant, jobs.c.state.in_(WAITING), jobs.c.queue == queue)

    def next_fair_batch(self, queue: str, *, max_queued: int, limit: int = 500) -> list[Job]:
        """Jobs that wait in the ledger and may go into the queue now: the oldest of every tenant first, then the second
        of every tenant, and so on, while no tenant has more than `window` in the queue."""
        inside = (
            select(jobs.c.tenant, func.count().label("count"))
            .where(jobs.c.state == State.QUEUED, jobs.c.queue == queue)
            .group_by(jobs.c.tenant)
            .subquery()
        )
        turn = func.row_number().over(partition_by=jobs.c.tenant, order_by=(jobs.c.created_at, jobs.c.id))
        held = (
            select(jobs.c.id, jobs.c.tenant, turn.label("turn"))
            .where(jobs.c.state == State.ACCEPTED, jobs.c.queue == queue, jobs.c.published_at.is_(None))
            .subquery()
        )
        query = (
            select(jobs)
            .join(held, held.c.id == jobs.c.id)
            .outerjoin(inside, inside.c.tenant == held.c.tenant)
            .where(held.c.turn + func.coalesce(inside.c.count, 0) <= max_queued)
            .order_by(held.c.turn, jobs.c.created_at, jobs.c.id)
            .limit(limit)
        )
        return self._database.read(lambda connection: _as_jobs(connection.execute(query).all()))

    def cancel(self, job_id: str, now: float, *, error: dict[str, Any]) -> bool:
        """Cancel a job that is not settled. A worker that holds it notices at its next sign of life."""
        values = {"state": State.CANCELLED, "error": error, "finished_at": now, "updated_at": now}
        running = (attempts.c.job == job_id) & (attempts.c.outcome == Outcome.RUNNING)

        def change(connection: Connection) -> bool:
            if not _update_if(connection, job_id, OPEN, lease_owner=None, lease_expires_at=None, **values):
                return False
            connection.execute(update(attempts).where(running).values(outcome=Outcome.CANCELLED, ended_at=now))
            return True

        return self._database.write(change)

    def mark_dead(self, job_id: str, now: float, *, error: dict[str, Any]) -> bool:
        """Mark a job dead whose message the broker gave up on."""
        values = {"state": State.DEAD, "error": error, "finished_at": now, "updated_at": now}
        return self._database.write(lambda connection: _update_if(connection, job_id, WAITING, **values))

    def replay(self, job_id: str, now: float, states: frozenset[State] = REPLAYABLE) -> bool:
        """Make a job in one of `states` ready for another round, its deaths forgiven. Publish it afterwards, or leave
        that to maintenance.
        """
        forgiven = {"error": None, "artifact": None, "crashes": 0, "worker_losses": 0, "finished_at": None}
        unpublished = {"state": State.ACCEPTED, "published_at": None, "publications": 0, "updated_at": now}
        told_again = {"webhook_pending": jobs.c.webhook.is_not(None)}
        values = forgiven | unpublished | told_again
        return self._database.write(lambda connection: _update_if(connection, job_id, states, **values))

    def pending_webhooks(self, limit: int = 500) -> list[Job]:
        """Settled jobs whose end is still to be told, oldest first."""
        query = (
            select(jobs).where(jobs.c.webhook_pending, jobs.c.state.in_(FINAL)).order_by(jobs.c.updated_at).limit(limit)
        )
        return self._database.read(lambda connection: _as_jobs(connection.execute(query).all()))

    def mark_webhook_published(self, job_id: str) -> None:
        """The broker has confirmed the webhook of a settled job. One that was replayed meanwhile is told once more."""
        self._database.write(lambda connection: _update_if(connection, job_id, FINAL, webhook_pending=False))

    def remove(self, job_id: str) -> bool:
        """Forget a settled job with its attempts. False if it is unknown or not settled."""

        def change(connection: Connection) -> bool:
            gone = connection.execute(delete(jobs).where(jobs.c.id == job_id, jobs.c.state.in_(FINAL)))
            if gone.rowcount != 1:
                return False
            connection.execute(delete(idempotency_keys).where(idempotency_keys.c.job == job_id))
            return True

        return self._database.write(change)

    def finished_before(self, before: float, *, with_outputs: bool = False, limit: int = 500) -> list[Job]:
        """Jobs that were settled before that time, oldest first; of those `with_outputs` only if so asked."""
        query = select(jobs).where(jobs.c.state.in_(FINAL), jobs.c.updated_at < before)
        if with_outputs:
            query = query.where(jobs.c.artifact.is_not(None))
        query = query.order_by(jobs.c.updated_at).limit(limit)
        return self._database.read(lambda connection: _as_jobs(connection.execute(query).all()))

    def find_all(self, job_ids: Sequence[str]) -> list[Job]:
        """Those of the jobs that are known."""
        query = select(jobs).where(jobs.c.id.in_(job_ids))
        return self._database.read(lambda connection: _as_jobs(connection.execute(query).all()))

    def find_states(self, job_ids: Sequence[str]) -> list[tuple[str, str, State, int]]:
        """Id, tenant, state and attempt of those of the jobs that are known: little, for it is asked for many."""
        query = select(jobs.c.id, jobs.c.tenant, jobs.c.state, jobs.c.attempt).where(jobs.c.id.in_(job_ids))
        found = self._database.read(lambda connection: connection.execute(query).all())
        return [(row.id, row.tenant, State(row.state), row.attempt) for row in found]

    def clear_artifact(self, job_id: str) -> bool:
        """Forget where the outputs of a settled job are: they are to be removed."""
        return self._database.write(lambda connection: _update_if(connection, job_id, FINAL, artifact=None))

    def has_open_job(self, source: str) -> bool:
        """Whether a job that is not settled refers to the source."""
        return self._exists(jobs.c.source == source, jobs.c.state.in_(OPEN))

    def is_artifact_in_use(self, tenant: str, artifact: str) -> bool:
        """Whether any job of the tenant still refers to the artifact."""
        return self._exists(jobs.c.tenant == tenant, jobs.c.artifact == artifact)

    def is_source_in_use(self, source: str) -> bool:
        """Whether any job still refers to the source."""
        return self._exists(jobs.c.source == source)

    def stale(
        self,
        now: float,
        *,
        republish_after: float,
        queue_depth: int,
        queue: str = RENDER,
        limit: int = 500,
        fair: bool = False,
    ) -> list[Job]:
        """Jobs of a queue whose message must be published again; `waiting` is the number of messages in the queue.

        Those that wait for their turn, if there is one, are not among them: see `next_in_turn`.
        """
        reached = self._consumed_until(queue, now - LOOKBACK_FACTOR * republish_after)
        held_no_more = (jobs.c.state == State.RUNNING) & (jobs.c.lease_expires_at <= now)
        latest = now if queue_depth == 0 else reached or 0.0
        gone = jobs.c.published_at.is_(None) | (jobs.c.published_at < latest - republish_after)
        candidates = held_no_more | (jobs.c.state.in_(WAITING) & gone)
        if fair:
            candidates &= jobs.c.state != State.ACCEPTED
        query = (
            select(jobs)
            .where(jobs.c.queue == queue, candidates)
            .order_by(jobs.c.publications, jobs.c.updated_at)
            .limit(limit)
        )
        found = self._database.read(lambda connection: _as_jobs(connection.execute(query).all()))
        return [
            job
            for job in found
            if is_stale(job, now, republish_after=republish_after, queue_depth=queue_depth, consumed_until=reached)
        ]

    def _consumed_until(self, queue: str, since: float) -> float | None:
        """When the newest message of a queue was published that a worker has taken lately. A job that was published
        twice does not tell which of its messages was taken."""
        taken = jobs.c.state.in_(FINAL | {State.RUNNING}) & (jobs.c.attempt > 0) & (jobs.c.publications == 1)
        query = select(func.max(jobs.c.published_at)).where(jobs.c.queue == queue, taken, jobs.c.updated_at > since)
        return self._database.read(lambda connection: connection.execute(query).scalar())

    def _insert(self, accepted: Sequence[Job]) -> None:
        rows = [{field.name: getattr(job, field.name) for field in fields(Job)} for job in accepted]
        self._database.write(lambda connection: connection.execute(_INSERT, rows))

    def _count(self, *conditions: ColumnElement[bool]) -> int:
        query = select(func.count()).select_from(jobs).where(*conditions)
        return self._database.read(lambda connection: int(connection.execute(query).scalar() or 0))

    def _exists(self, *conditions: ColumnElement[bool]) -> bool:
        query = select(jobs.c.id).where(*conditions).limit(1)
        return self._database.read(lambda connection: connection.execute(query).first() is not None)


def _update_if(connection: Connection, job_id: str, states: frozenset[State], **values: Any) -> bool:
    statement = update(jobs).where(jobs.c.id == job_id, jobs.c.state.in_(states)).values(values)
    return connection.execute(statement).rowcount == 1


def _as_jobs(rows: Sequence[Row[Any]]) -> list[Job]:
    return [job for job in map(as_job, rows) if job]


def as_job(row: Row[Any] | None) -> Job | None:
    """The row of table `jobs` as a Job."""
    if row is None:
        return None
    return Job(**{**row._mapping, "state": State(row.state)})
