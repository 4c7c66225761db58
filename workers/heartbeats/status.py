"""How coalescing goes, as the table tells it, and starting over."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import DBAPIError

from workers.heartbeats.nodes import Nodes, NoNode
from workers.heartbeats.schema import machines, offsets, positions


class AtWork(Exception):
    """A coalescer is at work; it would go on from where it is."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"The coalescer {holder} is at work. Stop it, and its stand-bys, first.")


@dataclass(frozen=True, slots=True)
class Status:
    """Ages and lengths are seconds; None where nothing was written yet."""

    holder: str | None  # who has the lease, if it is not over
    records: Mapping[int, int]  # last record of each partition that is in the table
    behind: float | None  # from when the broker took the last of them until it was written
    written: float | None  # age of the last flush
    window: float | None
    took: float | None
    rows: int | None
    beats: int | None
    retries: int | None
    plants: int
    machines: int

    @property
    def rate(self) -> float | None:
        """Beats a second in the last window."""
        return self.beats / self.window if self.beats is not None and self.window else None


def read_status(nodes: Nodes, source: str) -> Status:
    """The status of a source. Raises NoNode."""
    now = time.time()
    try:
        with nodes.connect() as connection:
            found = connection.execute(select(positions).where(positions.c.source == source)).mappings().first()
            parts = select(offsets.c.part, offsets.c.last_offset).where(offsets.c.source == source)
            records = {part: offset for part, offset in connection.execute(parts)}  # noqa: C416 - rows are no pairs
            counted = connection.execute(select(func.count(machines.c.plant.distinct()), func.count())).one()
    except DBAPIError as error:
        raise NoNode(error.orig) from error
    row: Mapping[Any, Any] = found or {}
    flushed_at, recorded_at = row.get("flushed_at"), row.get("recorded_at")
    return Status(
        holder=row["holder"] if row and row["lease_until"] > now else None,
        records=records,
        behind=max(0.0, flushed_at - recorded_at) if flushed_at and recorded_at else None,
        written=now - flushed_at if flushed_at else None,
        window=row.get("window_seconds"),
        took=row.get("flush_seconds"),
        rows=row.get("flush_rows"),
        beats=row.get("flush_beats"),
        retries=row.get("flush_retries"),
        plants=counted[0],
        machines=counted[1],
    )


def reset(nodes: Nodes, source: str) -> None:
    """Let the next coalescer begin with the oldest record that there is. Raises AtWork, NoNode."""
    taken = update(positions).where(positions.c.source == source, positions.c.lease_until <= time.time())
    try:
        with nodes.connect() as connection, connection.begin():
            done = connection.execute(taken.values(holder=None))
            holder = connection.execute(select(positions.c.holder).where(positions.c.source == source)).first()
            if done.rowcount == 0 and holder is not None:
                raise AtWork(holder[0])
            connection.execute(delete(offsets).where(offsets.c.source == source))
    except DBAPIError as error:
        raise NoNode(error.orig) from error
