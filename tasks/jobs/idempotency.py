"""Idempotency keys: requests with the same key get the same job."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from tasks.database.engine import Database
from tasks.database.schema import idempotency_keys as keys

# A reservation whose web process died expires after this time (seconds), which is longer than a request waits for
# ledger and broker. The drawing has been read before the key is reserved.
ABANDONED_AFTER = 30.0


@dataclass(frozen=True, slots=True)
class Reserved:
    """The key is reserved for this request, which must complete or release it."""


@dataclass(frozen=True, slots=True)
class InProgress:
    """Another request with this key is in progress."""


@dataclass(frozen=True, slots=True)
class Completed:
    """An earlier request with this key created `job`; `fingerprint` identifies its content."""

    job: str
    fingerprint: str


class IdempotencyKeys:
    """Every method is one transaction. Raises LedgerError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, tenant: str, key: str, now: float) -> Reserved | InProgress | Completed:
        """Reserve the key, unless an earlier request has done so."""
        abandoned = keys.c.job.is_(None) & (keys.c.created_at < now - ABANDONED_AFTER)

        def change(connection: Connection) -> Reserved:
            connection.execute(delete(keys).where(_is_key(tenant, key) & abandoned))
            connection.execute(insert(keys).values(tenant=tenant, idempotency_key=key, created_at=now))
            return Reserved()

        try:
            return self._database.write(change)
        except IntegrityError:
            query = select(keys).where(_is_key(tenant, key))
            row = self._database.read(lambda connection: connection.execute(query).one_or_none())
        return Completed(row.job, row.fingerprint) if row and row.job else InProgress()

    def complete(self, tenant: str, key: str, *, job: str, fingerprint: str) -> None:
        """Assign `job`, which is in the ledger and published, to the reserved key."""
        reserved = _is_key(tenant, key) & keys.c.job.is_(None)
        statement = update(keys).where(reserved).values(job=job, fingerprint=fingerprint)
        self._database.write(lambda connection: connection.execute(statement))

    def release(self, tenant: str, key: str) -> None:
        """Delete the key: its request failed, so the key may be used again."""
        statement = delete(keys).where(_is_key(tenant, key))
        self._database.write(lambda connection: connection.execute(statement))


def _is_key(tenant: str, key: str) -> ColumnElement[bool]:
    return (keys.c.tenant == tenant) & (keys.c.idempotency_key == key)
