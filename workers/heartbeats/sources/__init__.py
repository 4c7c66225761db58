"""Where beats come from: records in order, each with its offset, from any offset on.

A stream of RabbitMQ is one partition, number 0; a topic of Kafka may be several, each with offsets of its own. A source
knows nothing of what was done with its records. `Resume` sees to it that reading goes on exactly where it stopped, or
not at all.
"""

import zlib
from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

RESET_HINT = "Run `bulkhead heartbeats reset` to go on with what the stream has; beats are still counted once."


class SourceLost(Exception):
    """The broker does not answer, or ended the connection. Opening the source again may help."""


class PositionLost(Exception):
    """The record that was read last is not in the stream any more: going on would lose beats without a word."""


class Position(NamedTuple):
    """The last record that was read: its offset, and the CRC-32 of its body, by which another stream is told."""

    offset: int
    checksum: int


Positions = Mapping[int, Position]  # by partition; one that was never read is not there


class Batch(NamedTuple):
    """Records of one partition that follow each other, the last one's offset, and when the broker took them (seconds
    since 1970)."""

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
        """Where reading is after this batch."""
        return Position(self.last_offset, checksum(self.bodies[-1]))


class Source(Protocol):
    """One stream. Use it from one thread."""

    def open(self, offsets: Mapping[int, int]) -> None:
        """Connect, and begin each partition at its offset, or with its oldest record. Raises SourceLost."""

    def poll(self, timeout: float) -> Batch | None:
        """The next records; None if there are none for so many seconds. Raises SourceLost, and PositionLost where the
        broker itself says that an offset is not there."""

    def close(self) -> None:
        """Disconnect. It may be opened again."""


class ResumeCheck:
    """Checks that the first records after opening a source at `positions` are what they must be."""

    def __init__(self, positions: Positions) -> None:
        self._pending = dict(positions)

    @property
    def offsets(self) -> dict[int, int]:
        """Where to open the source: at the last record read of each partition, which must still be there."""
        return {partition: position.offset for partition, position in self._pending.items()}

    @property
    def is_pending(self) -> bool:
        """Whether one of those records has yet to be seen."""
        return bool(self._pending)

    def filter(self, batch: Batch) -> Batch:
        """What is new in `batch`, maybe nothing. Raises PositionLost."""
        if batch.partition not in self._pending:
            return batch
        offset, known = self._pending[batch.partition]
        if batch.first_offset > offset:
            raise PositionLost(
                f"Records {offset + 1} to {batch.first_offset - 1} of the stream were removed before they were read: it keeps "
                f"a bounded number of bytes. {RESET_HINT}"
            )
        if batch.last_offset < offset:
            return batch._replace(bodies=[])
        index = offset - batch.first_offset
        if checksum(batch.bodies[index]) != known:
            raise PositionLost(f"Record {offset} is not the one that was read: the stream was made anew. {RESET_HINT}")
        del self._pending[batch.partition]
        return batch._replace(bodies=batch.bodies[index + 1 :])

    def missing_record_error(self) -> PositionLost:
        """Why nothing comes although a record is known to be there."""
        return missing_record_error(next(iter(self.offsets.values())))


def missing_record_error(offset: int) -> PositionLost:
    """The record read last is gone, and none came after it."""
    return PositionLost(f"Record {offset} does not exist: the stream was made anew, or lost its end. {RESET_HINT}")


def describe(offsets: Collection[int]) -> str:
    """Offsets of all partitions in words, short however many there are."""
    if len(offsets) == 1:
        return f"record {max(offsets):,}"
    return f"records {min(offsets):,} to {max(offsets):,} of {len(offsets)} partitions"


def checksum(body: bytes) -> int:
    """What is remembered of a record."""
    return zlib.crc32(body)
