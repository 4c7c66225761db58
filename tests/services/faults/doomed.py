"""`python -m tests.services.faults.doomed POINT`: a coalescer that kills itself with SIGKILL at POINT."""

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, NoReturn

from sqlalchemy import Connection

from workers.heartbeats import __main__ as entry
from workers.heartbeats import latest_readings, sink
from workers.heartbeats.latest_readings import Values
from workers.heartbeats.rows import Row
from workers.heartbeats.sink import Flush, FlushResult
from workers.heartbeats.sources import factory
from workers.heartbeats.sources.stream import StreamSource

POINTS = ("attaching", "before upsert", "before commit", "after commit", "in redis")


def die() -> NoReturn:
    """Die at once, without cleaning up."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
    raise AssertionError


class DoomedSink(sink.TableSink):
    """Dies around its second flush, so that the first one is stored."""

    point = ""
    flushes = 0

    def flush(self, flush: Flush) -> FlushResult:
        self.flushes += 1
        result = super().flush(flush)
        if self.point == "after commit" and self.flushes == 2:
            die()
        return result

    def _write(self, connection: Connection, flush: Flush, values: Sequence[Row], **facts: Any) -> int:
        if self.point == "before upsert" and self.flushes == 2:
            die()
        rejected = super()._write(connection, flush, values, **facts)
        if self.point == "before commit" and self.flushes == 2:
            die()
        return rejected


class DoomedSource(StreamSource):
    """Dies right after the connection was opened."""

    def open(self, offsets: Mapping[int, int]) -> None:
        super().open(offsets)
        die()


class DoomedLatestReadings(latest_readings.RedisLatestReadings):
    """Dies after the readings of one plant are written."""

    def _write(self, plant: str, machines: Mapping[str, Values]) -> None:
        super()._write(plant, machines)
        die()


def main(point: str) -> int:
    """Run until it is killed."""
    DoomedSink.point = point
    places: list[tuple[ModuleType, str, type]] = [(entry, "TableSink", DoomedSink)]
    if point == "attaching":
        places.append((factory, "StreamSource", DoomedSource))
    if point == "in redis":
        places.append((entry, "RedisLatestReadings", DoomedLatestReadings))
    for module, name, kind in places:
        setattr(module, name, kind)
    return entry.main()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
