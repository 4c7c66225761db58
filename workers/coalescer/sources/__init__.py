"""Where beats come from: records in order, each with its offset, from any offset on.

A source knows nothing of what was done with its records. `Resume` sees to it that reading goes on exactly where it
stopped, or not at all.
"""

import zlib
from typing import NamedTuple, Protocol

RESET = "Run `bulkhead heartbeats reset` to go on with what the stream has; beats are still counted once."


class SourceLost(Exception):
    """The broker does not answer, or ended the connection. Opening the source again may help."""


class PositionLost(Exception):
    """The record that was read last is not in the stream any more: going on would lose beats without a word."""


class Position(NamedTuple):
    """The last record that was read: its offset, and the CRC-32 of its body, by which another stream is told."""

    offset: int
    mark: int


class Batch(NamedTuple):
    """Records that follow each other, the last one's offset, and when the broker took them (seconds since 1970)."""

    bodies: list[bytes]
    last: int
    at: float

    @property
    def first(self) -> int:
        """Offset of the first record."""
        return self.last - len(self.bodies) + 1

    @property
    def position(self) -> Position:
        """Where reading is after this batch."""
        return Position(self.last, mark(self.bodies[-1]))


class Source(Protocol):
    """One stream. Use it from one thread."""

    def open(self, offset: int | None) -> None:
        """Connect, and begin with the record at `offset`, or with the oldest one. Raises SourceLost."""

    def take(self, timeout: float) -> Batch | None:
        """The next records; None if there are none for so many seconds. Raises SourceLost."""

    def close(self) -> None:
        """Disconnect. It may be opened again."""


class Resume:
    """Checks that the first records after opening a source at `position` are what they must be."""

    def __init__(self, position: Position | None) -> None:
        self._position = position

    @property
    def offset(self) -> int | None:
        """Where to open the source: at the last record read, which must still be there."""
        return self._position.offset if self._position else None

    @property
    def pending(self) -> bool:
        """Whether that record has yet to be seen."""
        return self._position is not None

    def admit(self, batch: Batch) -> Batch:
        """What is new in `batch`, maybe nothing. Raises PositionLost."""
        if self._position is None:
            return batch
        offset, known = self._position
        if batch.first > offset:
            raise PositionLost(
                f"Records {offset + 1} to {batch.first - 1} of the stream were removed before they were read: it keeps "
                f"a bounded number of bytes. {RESET}"
            )
        if batch.last < offset:
            return batch._replace(bodies=[])
        index = offset - batch.first
        if mark(batch.bodies[index]) != known:
            raise PositionLost(f"Record {offset} is not the one that was read: the stream was made anew. {RESET}")
        self._position = None
        return batch._replace(bodies=batch.bodies[index + 1 :])

    def nothing_came(self) -> PositionLost:
        """Why nothing comes although a record is known to be there."""
        offset = self._position.offset if self._position else 0
        return PositionLost(f"Record {offset} does not exist: the stream was made anew, or lost its end. {RESET}")


def mark(body: bytes) -> int:
    """What is remembered of a record."""
    return zlib.crc32(body)
