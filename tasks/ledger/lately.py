"""What was settled lately, whatever the tenant."""

from typing import Any

from sqlalchemy import select

from tasks.ledger.database import Database
from tasks.ledger.schema import attempts, jobs
from tasks.ledger.states import Attempt, Outcome, State


def lately(database: Database, limit: int) -> list[tuple[str, Attempt]]:
    """The last attempts at the jobs that succeeded or failed last, each with its drawing's format (empty: unknown).

    At most `limit` of either, by an index; some milliseconds for a thousand. Raises `LedgerUnavailable`.
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
