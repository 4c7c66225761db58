"""How coalescing goes, as the table tells it, and starting over."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import DBAPIError

from workers.heartbeats.database_nodes import DatabaseNodes, NoWritableNode
from workers.heartbeats.schema import heartbeat_offsets, heartbeat_sources, machines


class LeaseHeld(Exception):
    """A coalescer is at work; it would go on from where it is."""

    def __init__(self, lease_owner: str) -> None:
        super().__init__(f"The coalescer {lease_owner} is at work. Stop it, and its stand-bys, first.")


@dataclass(frozen=True, slots=True)
class CoalescerStatus:
    """Ages and lengths are seconds; None where nothing was written yet."""

    lease_owner: str | None  # who has the lease, if it is not over
    last_offsets: Mapping[int, int]  # last record of each partition that is in the table
    lag_seconds: float | None  # from when the broker took the last of them until it was written
    flush_age_seconds: float | None  # age of the last flush
    window_seconds: float | None
    flush_seconds: float | None
    flush_rows: int | None
    flush_beats: int | None
    flush_retries: int | None
    plants: int
    machines: int

    @property
    def beats_per_second(self) -> float | None:
        """Beats a second in the last window."""
        return self.flush_beats / self.window_seconds if self.flush_beats is not None and self.window_seconds else None


def read_status(nodes: DatabaseNodes, source: str) -> CoalescerStatus:
    """The status of a source. Raises NoNode."""
    now = time.time()
    try:
        with nodes.connect() as connection:
            found = (
                connection.execute(select(heartbeat_sources).where(heartbeat_sources.c.source == source))
                .mappings()
                .first()
            )
            parts = select(heartbeat_offsets.c.part, heartbeat_offsets.c.last_offset).where(
                heartbeat_offsets.c.source == source
            )
            records = {part: offset for part, offset in connection.execute(parts)}  # noqa: C416 - rows are no pairs
            counted = connection.execute(select(func.count(machines.c.plant.distinct()), func.count())).one()
    except DBAPIError as error:
        raise NoWritableNode(error.orig) from error
    row: Mapping[Any, Any] = found or {}
    flushed_at, recorded_at = row.get("flushed_at"), row.get("recorded_at")
    return CoalescerStatus(
        lease_owner=row["holder"] if row and row["lease_until"] > now else None,
        last_offsets=records,
        lag_seconds=max(0.0, flushed_at - recorded_at) if flushed_at and recorded_at else None,
        flush_age_seconds=now - flushed_at if flushed_at else None,
        window_seconds=row.get("window_seconds"),
        flush_seconds=row.get("flush_seconds"),
        flush_rows=row.get("flush_rows"),
        flush_beats=row.get("flush_beats"),
        flush_retries=row.get("flush_retries"),
        plants=counted[0],
        machines=counted[1],
    )


def reset_offsets(nodes: DatabaseNodes, source: str) -> None:
    """Let the next coalescer begin with the oldest record that there is. Raises AtWork, NoNode."""
    taken = update(heartbeat_sources).where(
        heartbeat_sources.c.source == source, heartbeat_sources.c.lease_until <= time.time()
    )
    try:
        with nodes.connect() as connection, connection.begin():
            done = connection.execute(taken.values(holder=None))
            holder = connection.execute(
                select(heartbeat_sources.c.holder).where(heartbeat_sources.c.source == source)
            ).first()
            if done.rowcount == 0 and holder is not None:
                raise LeaseHeld(holder[0])
            connection.execute(delete(heartbeat_offsets).where(heartbeat_offsets.c.source == source))
    except DBAPIError as error:
        raise NoWritableNode(error.orig) from error
