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
from workers.heartbeats.machine import Machine
from workers.heartbeats.nodes import Nodes, NoNode, is_transient
from workers.heartbeats.schema import machines, offsets, positions
from workers.heartbeats.sources import Position, Positions

# Seconds between two tries: doubled each time, and anything between none and all of it.
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0

# Rows of one flush that the database may refuse. More of them are no bad rows but a bad table.
MOST_REFUSED = 10

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Fenced(Exception):
    """Another consumer has written meanwhile, or has the lease. This one must stop."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Refused(Exception):
    """The database refuses the rows, or the tables are wrong; nothing was written. `bulkhead migrate` makes them."""

    def __init__(self, reason: object) -> None:
        super().__init__(f"{self.__doc__} ({reason})")


class Flush(NamedTuple):
    """What one transaction writes: machines, and the position of each partition that they bring us to."""

    machines: Sequence[Machine]
    before: Positions
    after: Positions
    beats: int
    window: float  # seconds
    recorded_at: float  # when the broker took the last record


@dataclass(frozen=True, slots=True)
class Flushed:
    """How a flush went."""

    seconds: float
    retries: int
    refused: int


class Sink(Protocol):
    """Where machines are kept."""

    def claim(self, now: float, lease: float) -> bool:
        """Be the one who may write, for so many seconds. False while somebody else is."""

    def release(self) -> None:
        """Let the next one write."""

    def positions(self) -> dict[int, Position]:
        """Up to where records of each partition have been written."""

    def counts(self) -> dict[str, int]:
        """Machines by plant."""

    def recall(self, asked: Mapping[str, Collection[str]]) -> list[Machine]:
        """Those of the machines that are kept."""

    def flush(self, flush: Flush) -> Flushed:
        """Write. Tries until it is done; raises Fenced or Refused, or NoNode once `giving_up` says so."""


class TableSink:
    """The tables at `nodes`, for the source called `source`, written by `holder`."""

    def __init__(
        self,
        nodes: Nodes,
        source: str,
        holder: str,
        *,
        giving_up: Callable[[], bool] = lambda: False,
        wait: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._nodes = nodes
        self._holder = holder
        self._source = source
        self._row = positions.c.source == source
        self._mine = and_(self._row, positions.c.holder == holder)
        self._giving_up = giving_up
        self._wait = wait
        self._clock = clock
        self._lease = 0.0

    def claim(self, now: float, lease: float) -> bool:
        self._lease = lease
        free = or_(positions.c.holder.is_(None), positions.c.holder == self._holder, positions.c.lease_until < now)
        taking = update(positions).where(self._row, free).values(holder=self._holder, lease_until=now + lease)

        def claimed(connection: Connection) -> bool:
            present = connection.execute(select(positions.c.source).where(self._row)).first()
            if present is None:
                connection.execute(insert(positions).values(source=self._source, lease_until=0.0))
            return connection.execute(taking).rowcount == 1

        return self._patiently(claimed)

    def release(self) -> None:
        with self._nodes.connect() as connection, connection.begin():
            connection.execute(update(positions).where(self._mine).values(holder=None, lease_until=0.0))

    def positions(self) -> dict[int, Position]:
        return self._patiently(self._positions)

    def counts(self) -> dict[str, int]:
        query = select(machines.c.plant, func.count()).group_by(machines.c.plant)
        return dict(self._patiently(lambda connection: [(plant, n) for plant, n in connection.execute(query)]))

    def recall(self, asked: Mapping[str, Collection[str]]) -> list[Machine]:
        def found(connection: Connection) -> list[Machine]:
            return [machine for plant, names in asked.items() for machine in rows.read(connection, plant, names)]

        return self._patiently(found)

    def flush(self, flush: Flush) -> Flushed:
        begun = time.perf_counter()
        values = [rows.row_of(machine) for machine in flush.machines]
        retries = 0

        def write(connection: Connection) -> int:
            nonlocal retries
            retries += 1
            took = time.perf_counter() - begun
            return self._write(connection, flush, values, seconds=took, retries=retries - 1)

        refused = self._patiently(write)
        return Flushed(time.perf_counter() - begun, retries - 1, refused)

    def _write(
        self, connection: Connection, flush: Flush, values: Sequence[rows.Row], *, seconds: float, retries: int
    ) -> int:
        """Number of refused rows."""
        now = self._clock()
        # Whoever writes changes this row first: from here on nobody else does, and what is read next is the latest.
        locked = update(positions).where(self._mine).values(lease_until=now + self._lease)
        if connection.execute(locked).rowcount != 1:
            raise Fenced
        stored = self._positions(connection)
        if stored == flush.after:
            return 0  # written before; only the word of it was lost
        if stored != flush.before:
            raise Fenced
        self._move(connection, flush)
        refused: list[tuple[rows.Row, DBAPIError]] = []
        begun = time.perf_counter()
        for start in range(0, len(values), rows.CHUNK):
            _write_good(connection, values[start : start + rows.CHUNK], refused)
        for row, error in refused:
            logger.error("The database refuses machine %s of plant %s: %s", row[1], row[0], error.orig)
        facts: dict[str, Any] = {
            "flushed_at": now,
            "flush_seconds": seconds + time.perf_counter() - begun,
            "flush_rows": len(values) - len(refused),
            "flush_beats": flush.beats,
            "flush_retries": retries,
            "window_seconds": flush.window,
            "recorded_at": flush.recorded_at,
        }
        connection.execute(update(positions).where(self._row).values(facts))
        return len(refused)

    def _positions(self, connection: Connection) -> dict[int, Position]:
        query = select(offsets.c.part, offsets.c.last_offset, offsets.c.last_mark)
        found = connection.execute(query.where(offsets.c.source == self._source))
        return {part: Position(offset, mark) for part, offset, mark in found}

    def _move(self, connection: Connection, flush: Flush) -> None:
        """Bring the partitions that were read to their new positions."""
        moved = {part: new for part, new in flush.after.items() if new != flush.before.get(part)}
        old = [_values(part, new) for part, new in moved.items() if part in flush.before]
        new = [_values(part, new) for part, new in moved.items() if part not in flush.before]
        there = and_(offsets.c.source == self._source, offsets.c.part == bindparam("of"))
        values: dict[str, Any] = {"last_offset": bindparam("to"), "last_mark": bindparam("mark")}
        if old:
            connection.execute(update(offsets).where(there).values(values), old)
        if new:
            values |= {"source": self._source, "part": bindparam("of")}
            connection.execute(insert(offsets).values(values), new)

    def _patiently(self, work: Callable[[Connection], T]) -> T:
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
                    raise Refused(error.orig) from error
                reason = error
            except NoNode as error:
                reason = error
            if self._giving_up():
                raise NoNode(reason) from reason
            tries += 1
            pause = min(FIRST_PAUSE * 2.0**tries, LONGEST_PAUSE) * random.random()
            logger.warning("The table of machines is tried again in %.2f s: %s", pause, reason)
            self._wait(pause)


def _values(part: int, position: Position) -> dict[str, int]:
    return {"of": part, "to": position.offset, "mark": position.mark}


def _write_good(connection: Connection, values: Sequence[rows.Row], refused: list[tuple[rows.Row, DBAPIError]]) -> None:
    """Write the rows that the database takes; the others are found by halves and added to `refused`."""
    try:
        rows.write(connection, values)
    except DBAPIError as error:
        if is_transient(error):
            raise
        if len(values) > 1:
            half = len(values) // 2
            _write_good(connection, values[:half], refused)
            _write_good(connection, values[half:], refused)
            return
        refused.append((values[0], error))
        if len(refused) > MOST_REFUSED:
            raise Refused(error.orig) from error
