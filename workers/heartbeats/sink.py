"""Writes windows to the table: one transaction each, which also holds the position in the source.

The transaction first locks the row of the lease and compares the position. So a flush that is repeated after a lost
COMMIT is recognised, and a second consumer, or one that was suspended and resumed, cannot write: it has lost the lease.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection, and_, bindparam, func, insert, or_, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from tasks.database.errors import is_schema_mismatch
from tasks.errors import BulkheadError, Conflict
from tasks.utils.retry import Backoff, retrying
from workers.heartbeats import rows
from workers.heartbeats.database_nodes import DatabaseNodes, NoWritableNode, is_transient
from workers.heartbeats.machine import Machine
from workers.heartbeats.schema import heartbeat_offsets, heartbeat_sources, machines
from workers.heartbeats.sources import Position, Positions

BACKOFF = Backoff(initial=0.1, maximum=5.0)

# Rows of one flush that the database may reject. If it rejects more, the table is wrong and not the rows.
MAX_REJECTED_ROWS = 10

T = TypeVar("T")

logger = logging.getLogger(__name__)


class WriterLeaseLost(Conflict):
    """Another coalescer holds the lease or has written in the meantime. This one must stop."""

    code = "lease-lost"
    exit_code = 1


class WriteRejected(BulkheadError):
    """The database rejects the rows; nothing was written. Check its log, and run `bulkhead doctor`."""

    code = "write-rejected"

    def __init__(self, reason: object) -> None:
        super().__init__(f"{self.__doc__} ({reason})")


class Flush(NamedTuple):
    """The contents of one transaction: machines, and the positions before and after their records."""

    machines: Sequence[Machine]
    before: Positions
    after: Positions
    beats: int
    window_seconds: float
    received_at: float  # when the broker received the last record


@dataclass(frozen=True, slots=True)
class FlushResult:
    """Duration and outcome of a flush."""

    seconds: float
    retries: int
    rejected_rows: int


class Sink(Protocol):
    """Stores machines."""

    def acquire_lease(self, now: float, lease: float) -> bool:
        """Become the only writer for so many seconds. False while another one holds the lease."""

    def release_lease(self) -> None:
        """Let the next coalescer write."""

    def positions(self) -> dict[int, Position]:
        """The last record of each partition that was written."""

    def machine_counts(self) -> dict[str, int]:
        """The number of machines of each plant."""

    def load(self, names: Mapping[str, Collection[str]]) -> list[Machine]:
        """Those of the machines that are stored."""

    def flush(self, flush: Flush) -> FlushResult:
        """Write a window. Retries until it succeeds.

        Raises WriterLeaseLost, WriteRejected or SchemaOutdated, and NoWritableNode once `should_give_up` returns true.
        """


class TableSink:
    """Stores machines in the tables at `nodes`, for the source named `source`, as `lease_owner`."""

    def __init__(
        self,
        nodes: DatabaseNodes,
        source: str,
        lease_owner: str,
        *,
        should_give_up: Callable[[], bool] = lambda: False,
        wait: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._nodes = nodes
        self._lease_owner = lease_owner
        self._source = source
        self._row = heartbeat_sources.c.source == source
        self._owned_row = and_(self._row, heartbeat_sources.c.lease_owner == lease_owner)
        self._should_give_up = should_give_up
        self._wait = wait
        self._clock = clock
        self._lease = 0.0

    def acquire_lease(self, now: float, lease: float) -> bool:
        self._lease = lease
        owner, expires_at = heartbeat_sources.c.lease_owner, heartbeat_sources.c.lease_expires_at
        is_free = or_(owner.is_(None), owner == self._lease_owner, expires_at < now)
        acquire = (
            update(heartbeat_sources)
            .where(self._row, is_free)
            .values(lease_owner=self._lease_owner, lease_expires_at=now + lease)
        )

        def acquired(connection: Connection) -> bool:
            present = connection.execute(select(heartbeat_sources.c.source).where(self._row)).first()
            if present is None:
                connection.execute(insert(heartbeat_sources).values(source=self._source, lease_expires_at=0.0))
            return connection.execute(acquire).rowcount == 1

        return self._with_retries(acquired)

    def release_lease(self) -> None:
        release = update(heartbeat_sources).where(self._owned_row).values(lease_owner=None, lease_expires_at=0.0)
        with self._nodes.connect() as connection, connection.begin():
            connection.execute(release)

    def positions(self) -> dict[int, Position]:
        return self._with_retries(self._positions)

    def machine_counts(self) -> dict[str, int]:
        query = select(machines.c.plant, func.count()).group_by(machines.c.plant)
        return dict(self._with_retries(lambda connection: [(plant, n) for plant, n in connection.execute(query)]))

    def load(self, names: Mapping[str, Collection[str]]) -> list[Machine]:
        def read(connection: Connection) -> list[Machine]:
            return [machine for plant, some in names.items() for machine in rows.read(connection, plant, some)]

        return self._with_retries(read)

    def flush(self, flush: Flush) -> FlushResult:
        started = time.perf_counter()
        values = [rows.to_row(machine) for machine in flush.machines]
        attempts = 0

        def write(connection: Connection) -> int:
            nonlocal attempts
            attempts += 1
            seconds = time.perf_counter() - started
            return self._write(connection, flush, values, seconds=seconds, retries=attempts - 1)

        rejected = self._with_retries(write)
        return FlushResult(time.perf_counter() - started, attempts - 1, rejected)

    def _write(
        self, connection: Connection, flush: Flush, values: Sequence[rows.Row], *, seconds: float, retries: int
    ) -> int:
        """Write the window in the transaction of `connection`. Returns the number of rejected rows."""
        now = self._clock()
        # Every writer updates this row first: the lock keeps others out, and what is read next is the latest state.
        renew = update(heartbeat_sources).where(self._owned_row).values(lease_expires_at=now + self._lease)
        if connection.execute(renew).rowcount != 1:
            raise WriterLeaseLost
        stored = self._positions(connection)
        if stored == flush.after:
            return 0  # an earlier attempt was committed, and only the confirmation was lost
        if stored != flush.before:
            raise WriterLeaseLost
        self._advance_offsets(connection, flush)
        rejected: list[tuple[rows.Row, DBAPIError]] = []
        started = time.perf_counter()
        for start in range(0, len(values), rows.CHUNK_ROWS):
            _write_bisecting(connection, values[start : start + rows.CHUNK_ROWS], rejected)
        for row, error in rejected:
            logger.error("The database rejects machine %s of plant %s: %s", row[1], row[0], error.orig)
        result: dict[str, Any] = {
            "flushed_at": now,
            "flush_seconds": seconds + time.perf_counter() - started,
            "flush_rows": len(values) - len(rejected),
            "flush_beats": flush.beats,
            "flush_retries": retries,
            "window_seconds": flush.window_seconds,
            "received_at": flush.received_at,
        }
        connection.execute(update(heartbeat_sources).where(self._row).values(result))
        return len(rejected)

    def _positions(self, connection: Connection) -> dict[int, Position]:
        columns = heartbeat_offsets.c
        query = select(columns.partition_id, columns.last_offset, columns.last_checksum)
        stored = connection.execute(query.where(columns.source == self._source))
        return {partition: Position(offset, checksum) for partition, offset, checksum in stored}

    def _advance_offsets(self, connection: Connection, flush: Flush) -> None:
        """Store the new positions of the partitions that were read."""
        changed = {partition: new for partition, new in flush.after.items() if new != flush.before.get(partition)}
        known = [_offset_params(partition, new) for partition, new in changed.items() if partition in flush.before]
        added = [_offset_params(partition, new) for partition, new in changed.items() if partition not in flush.before]
        row = and_(
            heartbeat_offsets.c.source == self._source,
            heartbeat_offsets.c.partition_id == bindparam("partition"),
        )
        values: dict[str, Any] = {"last_offset": bindparam("offset"), "last_checksum": bindparam("checksum")}
        if known:
            connection.execute(update(heartbeat_offsets).where(row).values(values), known)
        if added:
            values |= {"source": self._source, "partition_id": bindparam("partition")}
            connection.execute(insert(heartbeat_offsets).values(values), added)

    def _with_retries(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction of its own, again after every error that may pass."""

        def transaction() -> T:
            try:
                with self._nodes.connect() as connection, connection.begin():
                    return work(connection)
            except IntegrityError as error:  # another coalescer inserted the row at the same time
                raise NoWritableNode(error.orig) from error
            except DBAPIError as error:
                raise WriteRejected(error.orig) from error

        attempts = retrying(
            on=NoWritableNode, backoff=BACKOFF, give_up=self._should_give_up, sleep=self._wait, logger=logger
        )
        return attempts(transaction)


def _offset_params(partition: int, position: Position) -> dict[str, int]:
    return {"partition": partition, "offset": position.offset, "checksum": position.checksum}


def _write_bisecting(
    connection: Connection, values: Sequence[rows.Row], rejected: list[tuple[rows.Row, DBAPIError]]
) -> None:
    """Write the rows that the database accepts. The others are found by bisection and added to `rejected`."""
    try:
        rows.upsert(connection, values)
    except DBAPIError as error:
        if is_transient(error) or is_schema_mismatch(error):
            raise
        if len(values) > 1:
            half = len(values) // 2
            _write_bisecting(connection, values[:half], rejected)
            _write_bisecting(connection, values[half:], rejected)
            return
        rejected.append((values[0], error))
        if len(rejected) > MAX_REJECTED_ROWS:
            raise WriteRejected(error.orig) from error
