"""The rotation of ticket keys: one row, with a lease, a fencing token that only grows, and how far it has come.

Without the ledger rotation goes on: nodes keep tokens and generations themselves, and whoever rotates next brings this
row up to date.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from tasks.database.engine import Database
from tasks.database.schema import rotations

# There is one fleet; the column is for a second one.
FLEET = "edge"


@dataclass(frozen=True, slots=True)
class Rotation:
    """The row. Times are seconds since the epoch; `result` is that of the last run, in a word."""

    generation: int = 0
    fencing_token: int = 0
    rotated_at: float | None = None
    requested_at: float | None = None
    lease_owner: str | None = None
    lease_expires_at: float | None = None
    result: str = ""


class RotationInProgress(Exception):
    """Another rotation is under way."""

    def __init__(self, lease_owner: str, seconds: float) -> None:
        super().__init__(
            f"{lease_owner} is rotating. Try again; should it have died, its lease ends in {seconds:.0f} s."
        )
        self.lease_owner = lease_owner


class Rotations:
    """Every method is one transaction. Raises `LedgerUnavailable` when the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self) -> Rotation:
        """How far it has come; an empty row before the first rotation."""
        return self._database.read(_row)

    def request_if_due(self, now: float, *, interval: float, retry_after: float) -> Rotation | None:
        """The row, if the next rotation is due and nobody was asked for it within `patience` seconds; noted as asked.

        Never before a first rotation, which is an operator's: most platforms have no fleet.
        """

        def change(connection: Connection) -> Rotation | None:
            row = _locked(connection)
            if row is None or row.rotated_at is None or row.rotated_at + interval > now:
                return None
            if row.requested_at is not None and row.requested_at + retry_after > now:
                return None
            _set(connection, requested_at=now)
            return row

        return self._database.write(change)

    def claim(
        self,
        lease_owner: str,
        *,
        now: float,
        lease: float,
        min_token: int,
        is_dead: Callable[[str], bool] = lambda _holder: False,
    ) -> int:
        """Take the lease. A token greater than all before it, and than `least`, the greatest that nodes know.

        Raises Busy while somebody else has the lease, unless he is known to be gone.
        """

        def change(connection: Connection) -> int:
            row = _locked(connection)
            if row is None:
                connection.execute(insert(rotations).values(fleet=FLEET))
                row = Rotation()
            until = row.lease_expires_at or 0.0
            if row.lease_owner not in (None, lease_owner) and until > now and not is_dead(row.lease_owner or ""):
                raise RotationInProgress(row.lease_owner or "", until - now)
            token = max(row.fencing_token, min_token) + 1
            _set(connection, fencing_token=token, lease_owner=lease_owner, lease_expires_at=now + lease)
            return token

        try:
            return self._database.write(change)
        except IntegrityError:  # two came first at the same time
            return self._database.write(change)

    def finish(self, fencing_token: int, *, generation: int, rotated_at: float | None, result: str) -> bool:
        """Give the lease back and say what became of the run. False if a greater token was taken meanwhile."""

        def change(connection: Connection) -> bool:
            row = _locked(connection)
            if row is None or row.fencing_token != fencing_token:
                return False
            done = replace(row, generation=max(row.generation, generation), rotated_at=rotated_at or row.rotated_at)
            _set(
                connection,
                generation=done.generation,
                rotated_at=done.rotated_at,
                result=result,
                requested_at=None,
                lease_owner=None,
                lease_expires_at=None,
            )
            return True

        return self._database.write(change)


_ours = rotations.c.fleet == FLEET
_columns = [rotations.c[name] for name in Rotation.__dataclass_fields__]


def _row(connection: Connection) -> Rotation:
    row = connection.execute(select(*_columns).where(_ours)).one_or_none()
    return Rotation(**row._mapping) if row else Rotation()


def _locked(connection: Connection) -> Rotation | None:
    row = connection.execute(select(*_columns).where(_ours).with_for_update()).one_or_none()
    return Rotation(**row._mapping) if row else None


def _set(connection: Connection, **values: object) -> None:
    connection.execute(update(rotations).where(_ours).values(**values))
