"""The latest attempts of all tenants."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from tasks.database.engine import Database
from tasks.database.schema import attempts, jobs
from tasks.jobs.model import Attempt, Outcome, State


@dataclass(frozen=True)
class RecentAttempts:
    """Attempts that ended: their number by outcome and cause (empty: no cause), and the facts of the latest ones."""

    counts: Mapping[tuple[Outcome, str], int]
    facts: list[dict[str, Any]]


def recent_attempts(database: Database, since: float, limit: int) -> RecentAttempts:
    """The attempts that ended since `since` (seconds since the epoch), with the facts of the last `limit`. By an index.

    Raises LedgerError.
    """
    recent = attempts.c.ended_at >= since
    counted = select(attempts.c.outcome, attempts.c.cause, func.count()).where(recent).group_by("outcome", "cause")
    latest = select(attempts.c.facts).where(recent).order_by(attempts.c.ended_at.desc()).limit(limit)
    counts, facts = database.read(
        lambda connection: (connection.execute(counted).all(), connection.execute(latest).scalars().all())
    )
    by_end = {(Outcome(outcome), cause or ""): count for outcome, cause, count in counts}
    return RecentAttempts(by_end, [each for each in facts if each])


def latest_attempts(database: Database, limit: int) -> list[tuple[str, Attempt]]:
    """The last attempts at the jobs that finished last, each with the drawing's format (empty: unknown).

    At most `limit` that succeeded and `limit` that failed. Uses an index: some milliseconds for a thousand. Raises
    LedgerUnavailable and SchemaOutdated.
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
