"""The ledger: the table of jobs and attempts, and the truth about every job.

    ledger = open_ledger(settings())
    ledger.jobs.accept(job)
    claim = ledger.attempts.claim(job, holder=holder, now=time.time(), lease=30)

Importing this package loads SQLAlchemy's core (never its ORM) and opens nothing.
"""

from dataclasses import dataclass

from tasks.database.engine import Database, LedgerUnavailable
from tasks.jobs.attempts import Attempts
from tasks.jobs.idempotency import Requests
from tasks.jobs.model import FINAL, OPEN, Attempt, Claim, Granted, Held, Job, Moved, Outcome, Settled, State, Taken
from tasks.jobs.recent import Ended, ended, lately
from tasks.jobs.repository import Jobs, Page
from tasks.jobs.rotations import Rotations
from tasks.settings import Settings


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger's books, over one database."""

    database: Database
    jobs: Jobs
    attempts: Attempts
    requests: Requests
    rotations: Rotations


def open_ledger(settings: Settings) -> Ledger:
    """The ledger of these settings. Connects on first use."""
    database = Database(settings.ledger_url.get_secret_value())
    attempts = Attempts(database, settings.max_deaths, large_lane=settings.large_fence_bytes is not None)
    return Ledger(database, Jobs(database), attempts, Requests(database), Rotations(database))


__all__ = [
    "FINAL",
    "OPEN",
    "Attempt",
    "Claim",
    "Ended",
    "Granted",
    "Held",
    "Job",
    "Ledger",
    "LedgerUnavailable",
    "Moved",
    "Outcome",
    "Page",
    "Settled",
    "State",
    "Taken",
    "ended",
    "lately",
    "open_ledger",
]
