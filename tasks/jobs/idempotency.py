"""Requests that carry an Idempotency-Key: the same key asks for the same job."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from tasks.database.engine import Database
from tasks.database.schema import requests

# A request whose web process died in the middle frees its key after this time (seconds): longer than ledger and broker
# are waited for. The drawing has been read before the key is reserved.
ABANDONED_AFTER = 30.0


@dataclass(frozen=True, slots=True)
class New:
    """The key is reserved for this request: say which job came of it, or free it."""


@dataclass(frozen=True, slots=True)
class InProgress:
    """Another request with this key is not done yet."""


@dataclass(frozen=True, slots=True)
class Done:
    """A former request with this key asked for `job`; its content had this fingerprint."""

    job: str
    fingerprint: str


class Requests:
    """Every method is one transaction. Raises `LedgerUnavailable` when the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, tenant: str, key: str, now: float) -> New | InProgress | Done:
        """Reserve the key, or tell what became of it."""
        ours = (requests.c.tenant == tenant) & (requests.c.idempotency_key == key)
        abandoned = requests.c.job.is_(None) & (requests.c.created_at < now - ABANDONED_AFTER)

        def change(connection: Connection) -> New:
            connection.execute(delete(requests).where(ours & abandoned))
            connection.execute(insert(requests).values(tenant=tenant, idempotency_key=key, created_at=now))
            return New()

        try:
            return self._database.write(change)
        except IntegrityError:
            row = self._database.read(lambda connection: connection.execute(select(requests).where(ours)).one_or_none())
        return Done(row.job, row.fingerprint) if row and row.job else InProgress()

    def done(self, tenant: str, key: str, *, job: str, fingerprint: str) -> None:
        """The request was kept: `job` is in the ledger and published. From now on the key asks for that job."""
        ours = (requests.c.tenant == tenant) & (requests.c.idempotency_key == key)
        kept = update(requests).where(ours, requests.c.job.is_(None)).values(job=job, fingerprint=fingerprint)
        self._database.write(lambda connection: connection.execute(kept))

    def free(self, tenant: str, key: str) -> None:
        """The request came to nothing: the key may be used again."""
        ours = (requests.c.tenant == tenant) & (requests.c.idempotency_key == key)
        self._database.write(lambda connection: connection.execute(delete(requests).where(ours)))
