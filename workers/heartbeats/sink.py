"""Windows into the table: one transaction each, with the position in the source in it.

The row of the lease is locked and the position compared first. So a flush that was repeated after a lost COMMIT is
recognised, and a second consumer, or one that slept and woke up, cannot write: it is fenced.
"""

import logging
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection, and_, bindparam, func, insert, or_, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from workers.heartbeats import rows
from workers.heartbeats.database_nodes import DatabaseNodes, NoWritableNode, is_transient
from workers.heartbeats.machine import Machine
from workers.heartbeats.schema import heartbeat_offsets, heartbeat_sources, machines
from workers.heartbeats.sources import Position, Positions

# Seconds between two tries: doubled each time, and anything between none and all of it.
MIN_RETRY_DELAY = 0.05
MAX_RETRY_DELAY = 5.0

# Rows of one flush that the database may refuse. More of them are no bad rows but a bad table.
MAX_REJECTED_ROWS = 10

T = TypeVar("T")

logger = logging.getLogger(__name__)


class LeaseLost(Exception):
    """Another consumer has written meanwhile, or has the lease. This one must stop."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class WriteRejected(Exception):
    """The database refuses the rows, or the tables are wrong; nothing was written. `bulkhead migrate` makes them."""

    def __init__(self, reason: object) -> None:
        super().__init__(f"{self.__doc__} ({reason})")


class Flush(NamedTuple):
    """What one transaction writes: machines, and the position of each partition that they bring us to."""

    machines: Sequence[Machine]
    before: Positions
    after: Positions
    beats: int
    window_seconds: float  # seconds
    received_at: float  # when the broker took the last record


@dataclass(frozen=True, slots=True)
class FlushResult:
    """How a flush went."""

    seconds: float
    retries: int
    rejected_rows: int


class Sink(Protocol):
    """Where machines are kept."""

    def acquire_lease(self, now: float, lease: float) -> bool:
        """Be the one who may write, for so many seconds. False while somebody else is."""

    def release_lease(self) -> None:
        """Let the next one write."""

    def positions(self) -> dict[int, Position]:
        """Up to where records of each partition have been written."""

    def machine_counts(self) -> dict[str, int]:
        """Machines by plant."""

    def load(self, names: Mapping[str, Collection[str]]) -> list[Machine]:
        """Those of the machines that are kept."""

    def flush(self, flush: Flush) -> FlushResult:
        """Write. Tries until it is done; raises Fenced or Refused, or NoNode once `giving_up` says so."""


class TableSink:
    """The tables at `nodes`, for the source called `source`, written by `holder`."""

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
        self._owned_row = and_(self._row, heartbeat_sources.c.holder == lease_owner)
        self._should_give_up = should_give_up
        self._wait = wait
        self._clock = clock
        self._lease = 0.0

    def acquire_lease(self, now: float, lease: float) -> bool:
        self._lease = lease
        free = or_(
            heartbeat_sources.c.holder.is_(None),
            heartbeat_sources.c.holder == self._lease_owner,
            heartbeat_sources.c.lease_until < now,
        )
        taking = (
            update(heartbeat_sources).where(self._row, free).values(holder=self._lease_owner, lease_until=now + lease)
        )

        def claimed(connection: Connection) -> bool:
            present = connection.execute(select(heartbeat_sources.c.source).where(self._row)).first()
            if present is None:
                connection.execute(insert(heartbeat_sources).values(source=self._source, lease_until=0.0))
            return connection.execute(taking).rowcount == 1

        return self._with_retries(claimed)

    def release_lease(self) -> None:
        with self._nodes.connect() as connection, connection.begin():
            connection.execute(update(heartbeat_sources).where(self._owned_row).values(holder=None, lease_until=0.0))

    def positions(self) -> dict[int, Position]:
        return self._with_retries(self._positions)

    def machine_counts(self) -> dict[str, int]:
        query = select(machines.c.plant, func.count()).group_by(machines.c.plant)
        return dict(self._with_retries(lambda connection: [(plant, n) for plant, n in connection.execute(query)]))

    def load(self, names: Mapping[str, Collection[str]]) -> list[Machine]:
        def found(connection: Connection) -> list[Machine]:
            return [machine for plant, names in names.items() for machine in rows.read(connection, plant, names)]

        return self._with_retries(found)

    def flush(self, flush: Flush) -> FlushResult:
        begun = time.perf_counter()
        values = [rows.to_row(machine) for machine in flush.machines]
        retries = 0

        def write(connection: Connection) -> int:
            nonlocal retries
            retries += 1
            took = time.perf_counter() - begun
            return self._write(connection, flush, values, seconds=took, retries=retries - 1)

        refused = self._with_retries(write)
        return FlushResult(time.perf_counter() - begun, retries - 1, refused)

    def _write(
        self, connection: Connection, flush: Flush, values: Sequence[rows.Row], *, seconds: float, retries: int
    ) -> int:
        """Number of refused rows."""
        now = self._clock()
        # Whoever writes changes this row first: from here on nobody else does, and what is read next is the latest.
        locked = update(heartbeat_sources).where(self._owned_row).values(lease_until=now + self._lease)
        if connection.execute(locked).rowcount != 1:
            raise LeaseLost
        stored = self._positions(connection)
        if stored == flush.after:
            return 0  # written before; only the word of it was lost
        if stored != flush.before:
            raise LeaseLost
        self._advance_offsets(connection, flush)
        refused: list[tuple[rows.Row, DBAPIError]] = []
        begun = time.perf_counter()
        for start in range(0, len(values), rows.CHUNK_ROWS):
            _write_bisecting(connection, values[start : start + rows.CHUNK_ROWS], refused)
        for row, error in refused:
            logger.error("The database refuses machine %s of plant %s: %s", row[1], row[0], error.orig)
        facts: dict[str, Any] = {
            "flushed_at": now,
            "flush_seconds": seconds + time.perf_counter() - begun,
            "flush_rows": len(values) - len(refused),
            "flush_beats": flush.beats,
            "flush_retries": retries,
            "window_seconds": flush.window_seconds,
            "recorded_at": flush.received_at,
        }
        connection.execute(update(heartbeat_sources).where(self._row).values(facts))
        return len(refused)

    def _positions(self, connection: Connection) -> dict[int, Position]:
        query = select(heartbeat_offsets.c.part, heartbeat_offsets.c.last_offset, heartbeat_offsets.c.last_mark)
        found = connection.execute(query.where(heartbeat_offsets.c.source == self._source))
        return {part: Position(offset, mark) for part, offset, mark in found}

    def _advance_offsets(self, connection: Connection, flush: Flush) -> None:
        """Bring the partitions that were read to their new positions."""
        moved = {part: new for part, new in flush.after.items() if new != flush.before.get(part)}
        old = [_offset_params(part, new) for part, new in moved.items() if part in flush.before]
        new = [_offset_params(part, new) for part, new in moved.items() if part not in flush.before]
        there = and_(heartbeat_offsets.c.source == self._source, heartbeat_offsets.c.part == bindparam("of"))
        values: dict[str, Any] = {"last_offset": bindparam("to"), "last_mark": bindparam("mark")}
        if old:
            connection.execute(update(heartbeat_offsets).where(there).values(values), old)
        if new:
            values |= {"source": self._source, "part": bindparam("of")}
            connection.execute(insert(heartbeat_offsets).values(values), new)

    def _with_retries(self, work: Callable[[Connection], T]) -> T:
        """The answer of `work`, in a transaction of its own, tried again as long as trying may help."""
        tries = 0
        while True:
            try:
                with self._nodes.connect() as connection, connection.begin():
                    return work(connection)
            except IntegrityError as error:
                reason: Exception = error  # somebody else inserted the row at the same time
            except DBAPIError as error:
                if not is_transient(error):
                    raise WriteRejected(error.orig) from error
                reason = error
            except NoWritableNode as error:
                reason = error
            if self._should_give_up():
                raise NoWritableNode(reason) from reason
            tries += 1
            pause = min(MIN_RETRY_DELAY * 2.0**tries, MAX_RETRY_DELAY) * random.random()
            logger.warning("The table of machines is tried again in %.2f s: %s", pause, reason)
            self._wait(pause)


def _offset_params(part: int, position: Position) -> dict[str, int]:
    return {"of": part, "to": position.offset, "mark": position.checksum}


def _write_bisecting(
    connection: Connection, values: Sequence[rows.Row], refused: list[tuple[rows.Row, DBAPIError]]
) -> None:
    """Write the rows that the database takes; the others are found by halves and added to `refused`."""
    try:
        rows.upsert(connection, values)
    except DBAPIError as error:
        if is_transient(error):
            raise
        if len(values) > 1:
            half = len(values) // 2
            _write_bisecting(connection, values[:half], refused)
            _write_bisecting(connection, values[half:], refused)
            return
        refused.append((values[0], error))
        if len(refused) > MAX_REJECTED_ROWS:
            raise WriteRejected(error.orig) from error
