"""The ledger: the tables of jobs and attempts, which hold the authoritative state of every job.

    ledger = open_ledger(settings())
    ledger.jobs.accept(job)
    claim = ledger.attempts.claim(job, lease_owner=lease_owner, now=time.time(), lease=30)

Importing this package loads SQLAlchemy's core (never its ORM) and opens nothing.
"""

from dataclasses import dataclass

from tasks.database.engine import Database
from tasks.database.errors import LedgerError, LedgerUnavailable, SchemaOutdated
from tasks.jobs.attempts import Attempts
from tasks.jobs.idempotency import IdempotencyKeys
from tasks.jobs.model import (
    FINAL,
    OPEN,
    WAITING,
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
)
from tasks.jobs.recent import EndedAttempt, ended_attempts, latest_attempts
from tasks.jobs.repository import Jobs, Page
from tasks.jobs.rotations import Rotations
from tasks.settings import Settings


@dataclass(frozen=True, slots=True)
class Ledger:
    """The repositories of the ledger, over one database."""

    database: Database
    jobs: Jobs
    attempts: Attempts
    idempotency_keys: IdempotencyKeys
    rotations: Rotations


def open_ledger(settings: Settings) -> Ledger:
    """The ledger of these settings. Connects on first use."""
    database = Database(settings.ledger_url.get_secret_value())
    attempts = Attempts(database, settings.max_crashes, has_large_queue=settings.large_memory_limit is not None)
    return Ledger(database, Jobs(database), attempts, IdempotencyKeys(database), Rotations(database))


__all__ = [
    "FINAL",
    "OPEN",
    "WAITING",
    "Attempt",
    "Claim",
    "Claimed",
    "EndedAttempt",
    "Finished",
    "IdConflict",
    "Job",
    "Leased",
    "Ledger",
    "LedgerError",
    "LedgerUnavailable",
    "Outcome",
    "Page",
    "Rerouted",
    "SchemaOutdated",
    "State",
    "ended_attempts",
    "latest_attempts",
    "open_ledger",
]
