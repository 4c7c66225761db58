"""Sources of heartbeats: records in order, each with its offset, readable from any offset on.

A RabbitMQ stream is one partition, number 0; a Kafka topic may have several, each with its own offsets. A source does
not know what was done with its records. `ResumeCheck` makes sure that reading continues exactly where it stopped, or
not at all.
"""

import zlib
from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from tasks.errors import Conflict, ServiceUnavailable

RESET_HINT = "Run `bulkhead heartbeats reset` to continue with the records that are left; no beat is counted twice."


class SourceLost(ServiceUnavailable):
    """The broker does not answer, or closed the connection. Opening the source again may help."""

    code = "source-unavailable"


class PositionLost(Conflict):
    """The last record that was read is no longer in the stream: continuing would lose beats silently."""

    code = "position-lost"
    exit_code = 1


class Position(NamedTuple):
    """The last record that was read: its offset, and the CRC-32 of its body, which exposes a different stream."""

    offset: int
    checksum: int


Positions = Mapping[int, Position]  # by partition; without those that were never read


class Batch(NamedTuple):
    """Consecutive records of one partition. `received_at`: when the broker received them, in seconds since 1970."""

    bodies: list[bytes]
    last_offset: int
    received_at: float
    partition: int = 0

    @property
    def first_offset(self) -> int:
        """Offset of the first record."""
        return self.last_offset - len(self.bodies) + 1

    @property
    def position(self) -> Position:
        """The position after this batch."""
        return Position(self.last_offset, checksum(self.bodies[-1]))


class Source(Protocol):
    """One stream. Not safe to share between threads."""

    def open(self, offsets: Mapping[int, int]) -> None:
        """Connect, and start each partition at its offset, or at its oldest record. Raises SourceLost."""

    def poll(self, timeout: float) -> Batch | None:
        """The next records; None if none arrive within `timeout` seconds.

        Raises SourceLost, and PositionLost where the broker itself reports that an offset does not exist.
        """

    def close(self) -> None:
        """Disconnect. The source may be opened again."""


class ResumeCheck:
    """Checks that a source that was opened at `positions` starts with the expected records."""

    def __init__(self, positions: Positions) -> None:
        self._pending = dict(positions)

    @property
    def offsets(self) -> dict[int, int]:
        """Where to open the source: at the last record read of each partition, which must still exist."""
        return {partition: position.offset for partition, position in self._pending.items()}

    @property
    def is_pending(self) -> bool:
        """Whether one of those records has not arrived yet."""
        return bool(self._pending)

    def filter(self, batch: Batch) -> Batch:
        """`batch` without the records that were read before; it may be empty. Raises PositionLost."""
        if batch.partition not in self._pending:
            return batch
        offset, expected = self._pending[batch.partition]
        if batch.first_offset > offset:
            raise PositionLost(
                f"Records {offset + 1} to {batch.first_offset - 1} of the stream were removed before they were read, "
                f"because the stream keeps a limited number of bytes. {RESET_HINT}"
            )
        if batch.last_offset < offset:
            return batch._replace(bodies=[])
        index = offset - batch.first_offset
        if checksum(batch.bodies[index]) != expected:
            raise PositionLost(f"Record {offset} differs from the one that was read: the stream is new. {RESET_HINT}")
        del self._pending[batch.partition]
        return batch._replace(bodies=batch.bodies[index + 1 :])

    def missing_record_error(self) -> PositionLost:
        """The error for a record that was read before and does not arrive."""
        return missing_record_error(next(iter(self.offsets.values())))


def missing_record_error(offset: int) -> PositionLost:
    """The error for a last record that no longer exists, with none after it."""
    return PositionLost(
        f"Record {offset} does not exist: the stream is new, or its last records were lost. {RESET_HINT}"
    )


def describe(offsets: Collection[int]) -> str:
    """The offsets of all partitions as text, short however many there are."""
    if len(offsets) == 1:
        return f"record {max(offsets):,}"
    return f"records {min(offsets):,} to {max(offsets):,} of {len(offsets)} partitions"


def checksum(body: bytes) -> int:
    """The checksum of a record that is stored with its offset."""
    return zlib.crc32(body)
