"""The repository of jobs: everything that publishers, operators and maintenance do with them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.exc import DataError, IntegrityError

from tasks.database.engine import Database
from tasks.database.schema import attempts, idempotency_keys, jobs
from tasks.jobs.model import FINAL, OPEN, REPLAYABLE, WAITING, Job, Outcome, State, is_stale
from tasks.messaging.topology import RENDER
from tasks.renders import ALL_LAYERS
from tasks.utils.group_commit import GroupCommit

# How far back to search for the message that the workers took last, in multiples of `republish_after`.
LOOKBACK_FACTOR = 10

# Compiled once: it runs on every upload.
_INSERT = insert(jobs)


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs, newest first; `next` is the `after` of the next page, None on the last page."""

    jobs: list[Job]
    next: tuple[float, str] | None


class Jobs:
    """Accepting, finding, cancelling, removing and replaying jobs. Every method is one transaction.

    Raises LedgerError. `now` is in seconds since the epoch.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._group_commit = GroupCommit(self._insert, item_errors=(IntegrityError, DataError))

    def accept(self, job: Job) -> None:
        """Add a new job. Raises IntegrityError for an id that exists already, and DataError."""
        self._group_commit.commit(job)

    def mark_published(self, job_id: str, now: float) -> None:
        """Record that the broker confirmed the job's message. A worker may have claimed the job already."""
        publication = (
            update(jobs)
            .where(jobs.c.id == job_id)
            .values(published_at=now, publications=jobs.c.publications + 1, updated_at=now)
        )
        transition = update(jobs).where(jobs.c.id == job_id, jobs.c.state == State.ACCEPTED).values(state=State.QUEUED)

        def change(connection: Connection) -> None:
            connection.execute(publication)
            connection.execute(transition)

        self._database.write(change)

    def find(self, job_id: str, tenant: str | None = None) -> Job | None:
        """The job, or None if it is unknown or belongs to another tenant than the one given."""
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
        """Jobs, newest first. `search` matches any part of the file name or the start of the id; without
        `include_tile_jobs`, jobs that only cut tiles of a single layer are left out."""
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
        page = _as_jobs(rows[:limit])
        return Page(page, (page[-1].created_at, page[-1].id) if len(rows) > limit else None)

    def count_by_state(self, tenant: str | None = None) -> dict[State, int]:
        """The number of jobs in each state."""
        query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        if tenant is not None:
            query = query.where(jobs.c.tenant == tenant)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return dict.fromkeys(State, 0) | {State(state): count for state, count in rows}

    def count_open(self, tenant: str) -> int:
        """The number of jobs of the tenant that wait or run."""
        return self._count(jobs.c.tenant == tenant, jobs.c.state.in_(OPEN))

    def count_waiting(self, tenant: str, queue: str) -> int:
        """The number of jobs of the tenant that wait for a worker of the queue, in the queue or in the ledger."""
        return self._count(jobs.c.tenant == tenant, jobs.c.state.in_(WAITING), jobs.c.queue == queue)

    def next_fair_batch(self, queue: str, *, max_queued: int, limit: int = 500) -> list[Job]:
        """Jobs that wait in the ledger and may enter the queue now, round robin by tenant: the oldest of every tenant,
        then the second oldest of every tenant, and so on, up to `max_queued` jobs of each tenant in the queue."""
        queued = (
            select(jobs.c.tenant, func.count().label("count"))
            .where(jobs.c.state == State.QUEUED, jobs.c.queue == queue)
            .group_by(jobs.c.tenant)
            .subquery()
        )
        turn = func.row_number().over(partition_by=jobs.c.tenant, order_by=(jobs.c.created_at, jobs.c.id))
        waiting = (
            select(jobs.c.id, jobs.c.tenant, turn.label("turn"))
            .where(jobs.c.state == State.ACCEPTED, jobs.c.queue == queue, jobs.c.published_at.is_(None))
            .subquery()
        )
        query = (
            select(jobs)
            .join(waiting, waiting.c.id == jobs.c.id)
            .outerjoin(queued, queued.c.tenant == waiting.c.tenant)
            .where(waiting.c.turn + func.coalesce(queued.c.count, 0) <= max_queued)
            .order_by(waiting.c.turn, jobs.c.created_at, jobs.c.id)
            .limit(limit)
        )
        return self._select(query)

    def cancel(
        self,
        job_id: str,
        now: float,
        *,
        error: dict[str, Any],
        states: frozenset[State] = OPEN,
        requested_at: float | None = None,
        explanation: str | None = None,
    ) -> bool:
        """Cancel a job in one of `states`, which are open. Its worker notices when it renews the lease.

        `explanation` is recorded with its running attempt. `requested_at` is when the request was made, if it is
        carried out later: a job that was published or started after that time has been replayed since, and continues.
        False if the job continues or is finished.
        """
        running = (attempts.c.job == job_id) & (attempts.c.outcome == Outcome.RUNNING)
        conditions = [jobs.c.id == job_id, jobs.c.state.in_(states)]
        if requested_at is not None:
            started_at = select(func.max(attempts.c.started_at)).where(running).scalar_subquery()
            since = func.coalesce(jobs.c.published_at, started_at, jobs.c.updated_at)
            conditions.append(since <= requested_at)
        values = {"state": State.CANCELLED, "error": error, "finished_at": now, "updated_at": now}
        cancelled = update(jobs).where(*conditions).values(lease_owner=None, lease_expires_at=None, **values)
        ended = {"outcome": Outcome.CANCELLED, "ended_at": now, "explanation": explanation}

        def change(connection: Connection) -> bool:
            if connection.execute(cancelled).rowcount != 1:
                return False
            connection.execute(update(attempts).where(running).values(ended))
            return True

        return self._database.write(change)

    def mark_dead(self, job_id: str, now: float, *, error: dict[str, Any]) -> bool:
        """Mark a waiting job dead. False if the job does not wait."""
        values = {"state": State.DEAD, "error": error, "finished_at": now, "updated_at": now}
        return self._database.write(lambda connection: _update_if(connection, job_id, WAITING, **values))

    def replay(self, job_id: str, now: float, states: frozenset[State] = REPLAYABLE) -> bool:
        """Accept a job in one of `states` again and reset its crashes. Publish it afterwards, or let maintenance do so.

        False if the job is in another state.
        """
        reset = {"error": None, "artifact": None, "crashes": 0, "worker_losses": 0, "finished_at": None}
        unpublished = {"state": State.ACCEPTED, "published_at": None, "publications": 0, "updated_at": now}
        webhook = {"webhook_pending": jobs.c.webhook.is_not(None)}
        values = reset | unpublished | webhook
        return self._database.write(lambda connection: _update_if(connection, job_id, states, **values))

    def pending_webhooks(self, limit: int = 500) -> list[Job]:
        """Finished jobs whose webhook is not published yet, oldest first."""
        query = (
            select(jobs).where(jobs.c.webhook_pending, jobs.c.state.in_(FINAL)).order_by(jobs.c.updated_at).limit(limit)
        )
        return self._select(query)

    def mark_webhook_published(self, job_id: str) -> None:
        """Record that the broker confirmed the webhook of a finished job. A job that is open again keeps it pending."""
        self._database.write(lambda connection: _update_if(connection, job_id, FINAL, webhook_pending=False))

    def remove(self, job_id: str) -> bool:
        """Delete a finished job with its attempts and its idempotency key. False if it is unknown or open."""

        def change(connection: Connection) -> bool:
            deleted = connection.execute(delete(jobs).where(jobs.c.id == job_id, jobs.c.state.in_(FINAL)))
            if deleted.rowcount != 1:
                return False
            connection.execute(delete(idempotency_keys).where(idempotency_keys.c.job == job_id))
            return True

        return self._database.write(change)

    def finished_before(self, before: float, *, with_outputs: bool = False, limit: int = 500) -> list[Job]:
        """Jobs that finished before that time, oldest first; optionally only those `with_outputs`."""
        query = select(jobs).where(jobs.c.state.in_(FINAL), jobs.c.updated_at < before)
        if with_outputs:
            query = query.where(jobs.c.artifact.is_not(None))
        query = query.order_by(jobs.c.updated_at).limit(limit)
        return self._select(query)

    def find_all(self, job_ids: Sequence[str]) -> list[Job]:
        """The jobs with these ids; unknown ids are skipped."""
        query = select(jobs).where(jobs.c.id.in_(job_ids))
        return self._select(query)

    def find_states(self, job_ids: Sequence[str]) -> list[tuple[str, str, State, int]]:
        """Id, tenant, state and attempt of the jobs with these ids: few columns, because it is called with many ids."""
        query = select(jobs.c.id, jobs.c.tenant, jobs.c.state, jobs.c.attempt).where(jobs.c.id.in_(job_ids))
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [(row.id, row.tenant, State(row.state), row.attempt) for row in rows]

    def clear_artifact(self, job_id: str) -> bool:
        """Clear the artifact of a finished job, whose outputs are about to be removed."""
        return self._database.write(lambda connection: _update_if(connection, job_id, FINAL, artifact=None))

    def has_open_job(self, source: str) -> bool:
        """Whether an open job refers to the source."""
        return self._exists(jobs.c.source == source, jobs.c.state.in_(OPEN))

    def is_artifact_in_use(self, tenant: str, artifact: str) -> bool:
        """Whether any job of the tenant refers to the artifact."""
        return self._exists(jobs.c.tenant == tenant, jobs.c.artifact == artifact)

    def is_source_in_use(self, source: str) -> bool:
        """Whether any job refers to the source."""
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
        """Jobs of the queue whose message must be published again; `queue_depth` is its number of messages.

        With `fair`, jobs that were never published are left out: `next_fair_batch` returns them in turn.
        """
        consumed_until = self._consumed_until(queue, now - LOOKBACK_FACTOR * republish_after)
        lease_expired = (jobs.c.state == State.RUNNING) & (jobs.c.lease_expires_at <= now)
        latest = now if queue_depth == 0 else consumed_until or 0.0
        message_gone = jobs.c.published_at.is_(None) | (jobs.c.published_at < latest - republish_after)
        candidates = lease_expired | (jobs.c.state.in_(WAITING) & message_gone)
        if fair:
            candidates &= jobs.c.state != State.ACCEPTED
        query = (
            select(jobs)
            .where(jobs.c.queue == queue, candidates)
            .order_by(jobs.c.publications, jobs.c.updated_at)
            .limit(limit)
        )
        return [
            job
            for job in self._select(query)
            if is_stale(
                job, now, republish_after=republish_after, queue_depth=queue_depth, consumed_until=consumed_until
            )
        ]

    def _consumed_until(self, queue: str, since: float) -> float | None:
        """When the newest message that a worker took was published.

        Jobs that were published twice are left out: nothing tells which of their messages was taken.
        """
        taken = jobs.c.state.in_(FINAL | {State.RUNNING}) & (jobs.c.attempt > 0) & (jobs.c.publications == 1)
        query = select(func.max(jobs.c.published_at)).where(jobs.c.queue == queue, taken, jobs.c.updated_at > since)
        return self._database.read(lambda connection: connection.execute(query).scalar())

    def _insert(self, batch: Sequence[Job]) -> None:
        rows = [{field.name: getattr(job, field.name) for field in fields(Job)} for job in batch]
        self._database.write(lambda connection: connection.execute(_INSERT, rows))

    def _select(self, query: Select[Any]) -> list[Job]:
        return self._database.read(lambda connection: _as_jobs(connection.execute(query).all()))

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
    """The row of the table `jobs` as a Job."""
    if row is None:
        return None
    return Job(**{**row._mapping, "state": State(row.state)})
