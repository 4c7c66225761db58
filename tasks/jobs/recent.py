"""Attempts that ended recently, of all tenants."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from tasks.database.engine import Database
from tasks.database.schema import attempts, jobs
from tasks.jobs.model import Attempt, Outcome, State


@dataclass(frozen=True)
class EndedAttempt:
    """An attempt that has ended. `cause` is empty unless it crashed or was requeued."""

    job: str
    number: int
    ended_at: float
    outcome: Outcome
    cause: str
    facts: Mapping[str, Any]


def ended_attempts(database: Database, since: float, limit: int) -> list[EndedAttempt]:
    """The first `limit` attempts that ended at `since` (seconds since the epoch) or later, oldest first.

    Uses an index. Raises LedgerError.
    """
    columns = [attempts.c[name] for name in ("job", "number", "ended_at", "outcome", "cause", "facts")]
    query = select(*columns).where(attempts.c.ended_at >= since).order_by(attempts.c.ended_at).limit(limit)
    rows = database.read(lambda connection: connection.execute(query).all())
    return [
        EndedAttempt(row.job, row.number, row.ended_at, Outcome(row.outcome), row.cause or "", row.facts or {})
        for row in rows
    ]


def latest_attempts(database: Database, limit: int) -> list[tuple[str, Attempt]]:
    """The last attempts at the jobs that finished last, each with the drawing's format (empty: unknown).

    At most `limit` that succeeded and `limit` that failed. Uses an index: some milliseconds for a thousand. Raises
    LedgerError.
    """
    queries = [
        select(attempts, jobs.c.plan)
        .join(attempts, (attempts.c.job == jobs.c.id) & (attempts.c.number == jobs.c.attempt))
        .where(jobs.c.state == state)
        .order_by(jobs.c.updated_at.desc())
        .limit(limit)
        for state in (State.SUCCEEDED, State.FAILED)
    ]
    rows = database.read(lambda connection: [row for query in queries for row in connection.execute(query)])
    return [_attempt(dict(row._mapping)) for row in rows]


def _attempt(row: dict[str, Any]) -> tuple[str, Attempt]:
    plan = row.pop("plan") or {}
    return plan.get("format", ""), Attempt(**{**row, "outcome": Outcome(row["outcome"])})
