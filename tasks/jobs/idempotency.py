"""Requests that carry an Idempotency-Key: the same key asks for the same job."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from tasks.database.engine import Database
from tasks.database.schema import idempotency_keys

# A request whose web process died in the middle frees its key after this time (seconds): longer than ledger and broker
# are waited for. The drawing has been read before the key is reserved.
ABANDONED_AFTER = 30.0


@dataclass(frozen=True, slots=True)
class Reserved:
    """The key is reserved for this request: say which job came of it, or free it."""


@dataclass(frozen=True, slots=True)
class InProgress:
    """Another request with this key is not done yet."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A former request with this key asked for `job`; its content had this fingerprint."""

    job: str
    fingerprint: str


class IdempotencyKeys:
    """Every method is one transaction. Raises `LedgerUnavailable` when the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, tenant: str, key: str, now: float) -> Reserved | InProgress | Completed:
        """Reserve the key, or tell what became of it."""
        ours = (idempotency_keys.c.tenant == tenant) & (idempotency_keys.c.idempotency_key == key)
        abandoned = idempotency_keys.c.job.is_(None) & (idempotency_keys.c.created_at < now - ABANDONED_AFTER)

        def change(connection: Connection) -> Reserved:
            connection.execute(delete(idempotency_keys).where(ours & abandoned))
            connection.execute(insert(idempotency_keys).values(tenant=tenant, idempotency_key=key, created_at=now))
            return Reserved()

        try:
            return self._database.write(change)
        except IntegrityError:
            row = self._database.read(
                lambda connection: connection.execute(select(idempotency_keys).where(ours)).one_or_none()
            )
        return Completed(row.job, row.fingerprint) if row and row.job else InProgress()

    def complete(self, tenant: str, key: str, *, job: str, fingerprint: str) -> None:
        """The request was kept: `job` is in the ledger and published. From now on the key asks for that job."""
        ours = (idempotency_keys.c.tenant == tenant) & (idempotency_keys.c.idempotency_key == key)
        kept = (
            update(idempotency_keys)
            .where(ours, idempotency_keys.c.job.is_(None))
            .values(job=job, fingerprint=fingerprint)
        )
        self._database.write(lambda connection: connection.execute(kept))

    def release(self, tenant: str, key: str) -> None:
        """The request came to nothing: the key may be used again."""
        ours = (idempotency_keys.c.tenant == tenant) & (idempotency_keys.c.idempotency_key == key)
        self._database.write(lambda connection: connection.execute(delete(idempotency_keys).where(ours)))
