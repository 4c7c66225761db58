"""The coalescer's status, read from its tables, and the reset of its position."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select, update

from tasks.errors import Conflict
from workers.heartbeats.database_nodes import DatabaseNodes
from workers.heartbeats.schema import heartbeat_offsets, heartbeat_sources, machines


class LeaseHeld(Conflict):
    """A coalescer is running and would continue from its own position."""

    code = "coalescer-running"

    def __init__(self, lease_owner: str) -> None:
        super().__init__(f"The coalescer {lease_owner} is running. Stop it and its stand-bys first.")


@dataclass(frozen=True, slots=True)
class CoalescerStatus:
    """Durations are in seconds; None where nothing has been written yet."""

    lease_owner: str | None  # None if nobody holds a valid lease
    last_offsets: Mapping[int, int]  # last record of each partition that is in the table
    lag_seconds: float | None  # from the time when the broker received the last record until it was written
    flush_age_seconds: float | None  # time since the last flush
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
    """The status of a source. Raises NoWritableNode or SchemaOutdated."""
    now = time.time()
    sources, offsets = heartbeat_sources.c, heartbeat_offsets.c
    with nodes.connect() as connection:
        found = connection.execute(select(heartbeat_sources).where(sources.source == source)).mappings().first()
        positions = connection.execute(
            select(offsets.partition_id, offsets.last_offset).where(offsets.source == source)
        )
        last_offsets = {partition: offset for partition, offset in positions}  # noqa: C416 - rows are no pairs
        plant_count, machine_count = connection.execute(
            select(func.count(machines.c.plant.distinct()), func.count())
        ).one()
    row: Mapping[Any, Any] = found or {}
    flushed_at, received_at = row.get("flushed_at"), row.get("received_at")
    return CoalescerStatus(
        lease_owner=row["lease_owner"] if row and row["lease_expires_at"] > now else None,
        last_offsets=last_offsets,
        lag_seconds=max(0.0, flushed_at - received_at) if flushed_at and received_at else None,
        flush_age_seconds=now - flushed_at if flushed_at else None,
        window_seconds=row.get("window_seconds"),
        flush_seconds=row.get("flush_seconds"),
        flush_rows=row.get("flush_rows"),
        flush_beats=row.get("flush_beats"),
        flush_retries=row.get("flush_retries"),
        plants=plant_count,
        machines=machine_count,
    )


def reset_offsets(nodes: DatabaseNodes, source: str) -> None:
    """Make the next coalescer start with the oldest record of the stream.

    Raises LeaseHeld, NoWritableNode or SchemaOutdated.
    """
    row = heartbeat_sources.c.source == source
    release = update(heartbeat_sources).where(row, heartbeat_sources.c.lease_expires_at <= time.time())
    with nodes.connect() as connection, connection.begin():
        released = connection.execute(release.values(lease_owner=None))
        owner = connection.execute(select(heartbeat_sources.c.lease_owner).where(row)).first()
        if released.rowcount == 0 and owner is not None:
            raise LeaseHeld(owner[0])
        connection.execute(delete(heartbeat_offsets).where(heartbeat_offsets.c.source == source))
