"""The rotation of TLS ticket keys in the ledger: one row with a lease, a growing fencing token and the generation.

Rotation works without the ledger too: the nodes store tokens and generations themselves, and the next rotation updates
this row.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from tasks.database.engine import Database
from tasks.database.schema import rotations
from tasks.errors import Conflict

# There is one fleet; the column is for a second one.
FLEET = "edge"


@dataclass(frozen=True, slots=True)
class Rotation:
    """The row. Times are seconds since the epoch; `result` is the result of the last run, in one word."""

    generation: int = 0
    fencing_token: int = 0
    rotated_at: float | None = None
    requested_at: float | None = None
    lease_owner: str | None = None
    lease_expires_at: float | None = None
    result: str = ""


class RotationInProgress(Conflict):
    """Another rotation is in progress."""

    code = "rotation-in-progress"
    exit_code = 1

    def __init__(self, lease_owner: str, seconds: float) -> None:
        super().__init__(
            f"{lease_owner} is rotating the ticket keys. Try again later; its lease expires in {seconds:.0f} s."
        )
        self.lease_owner = lease_owner


class Rotations:
    """Every method is one transaction. Raises LedgerError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self) -> Rotation:
        """The current row; an empty one before the first rotation."""
        return self._database.read(_row)

    def request_if_due(self, now: float, *, interval: float, retry_after: float) -> Rotation | None:
        """The row, marked as requested, if a rotation is due and none was requested within `retry_after` seconds.

        Never before the first rotation, which an operator starts: most platforms have no fleet.
        """

        def change(connection: Connection) -> Rotation | None:
            row = _locked(connection)
            if row is None or row.rotated_at is None or row.rotated_at + interval > now:
                return None
            if row.requested_at is not None and row.requested_at + retry_after > now:
                return None
            _update(connection, requested_at=now)
            return row

        return self._database.write(change)

    def claim(
        self,
        lease_owner: str,
        *,
        now: float,
        lease: float,
        min_token: int,
        is_dead: Callable[[str], bool] = lambda _owner: False,
    ) -> int:
        """Take the lease. Returns a token greater than all earlier ones and than `min_token`, the highest on the nodes.

        Raises RotationInProgress while another owner has the lease, unless `is_dead` knows that owner to be dead.
        """

        def change(connection: Connection) -> int:
            row = _locked(connection)
            if row is None:
                connection.execute(insert(rotations).values(fleet=FLEET))
                row = Rotation()
            until = row.lease_expires_at or 0.0
            if row.lease_owner not in (None, lease_owner) and until > now and not is_dead(row.lease_owner or ""):
                raise RotationInProgress(row.lease_owner or "", until - now)
            fencing_token = max(row.fencing_token, min_token) + 1
            _update(connection, fencing_token=fencing_token, lease_owner=lease_owner, lease_expires_at=now + lease)
            return fencing_token

        try:
            return self._database.write(change)
        except IntegrityError:  # another first claim was inserted at the same moment
            return self._database.write(change)

    def finish(self, fencing_token: int, *, generation: int, rotated_at: float | None, result: str) -> bool:
        """Release the lease and record the result of the run. False if a greater token was claimed meanwhile."""

        def change(connection: Connection) -> bool:
            row = _locked(connection)
            if row is None or row.fencing_token != fencing_token:
                return False
            finished = replace(row, generation=max(row.generation, generation), rotated_at=rotated_at or row.rotated_at)
            _update(
                connection,
                generation=finished.generation,
                rotated_at=finished.rotated_at,
                result=result,
                requested_at=None,
                lease_owner=None,
                lease_expires_at=None,
            )
            return True

        return self._database.write(change)


_is_fleet = rotations.c.fleet == FLEET
_columns = [rotations.c[name] for name in Rotation.__dataclass_fields__]


def _row(connection: Connection) -> Rotation:
    row = connection.execute(select(*_columns).where(_is_fleet)).one_or_none()
    return Rotation(**row._mapping) if row else Rotation()


def _locked(connection: Connection) -> Rotation | None:
    row = connection.execute(select(*_columns).where(_is_fleet).with_for_update()).one_or_none()
    return Rotation(**row._mapping) if row else None


def _update(connection: Connection, **values: object) -> None:
    connection.execute(update(rotations).where(_is_fleet).values(**values))
