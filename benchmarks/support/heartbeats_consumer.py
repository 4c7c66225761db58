"""`python -m benchmarks.support.heartbeats_consumer KIND URL BEATS CORE`: a coalescer on one core without a database.

Prints one JSON object: `seconds` since the first record, their `cpu` seconds, and `rss_mb` and `machines` at the end.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Collection, Mapping

import psutil
from celery import Celery

from tasks.messaging.topology import HEARTBEATS
from workers.heartbeats.coalescer import Coalescer
from workers.heartbeats.latest_readings import NullLatestReadings
from workers.heartbeats.machine import Machine
from workers.heartbeats.sink import Flush, FlushResult
from workers.heartbeats.sources import Batch, Position, Source
from workers.heartbeats.sources.amqp import AmqpSource
from workers.heartbeats.sources.stream import StreamSource
from workers.heartbeats.window import Window


class NullSink:
    """A sink that discards everything."""

    def acquire_lease(self, now: float, lease: float) -> bool:  # noqa: ARG002
        return True

    def release_lease(self) -> None:
        pass

    def positions(self) -> dict[int, Position]:
        return {}

    def machine_counts(self) -> dict[str, int]:
        return {}

    def load(self, names: Mapping[str, Collection[str]]) -> list[Machine]:  # noqa: ARG002
        return []

    def flush(self, flush: Flush) -> FlushResult:
        self.machines = len(flush.machines)
        return FlushResult(0.0, 0, 0)


class TimedSource:
    """A source that records when its first records arrived."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.open, self.close = source.open, source.close
        self.started_at = self.cpu_at_start = 0.0

    def poll(self, timeout: float) -> Batch | None:
        batch = self._source.poll(timeout)
        if batch and not self.started_at:
            self.started_at, self.cpu_at_start = time.perf_counter(), time.process_time()
        return batch


def main(kind: str, url: str, beats: int, core: int) -> None:
    """Read `beats` heartbeats and print the result."""
    os.sched_setaffinity(0, {core})
    gc.disable()  # like the coalescer
    source = TimedSource(StreamSource(url, HEARTBEATS) if kind == "stream" else AmqpSource(Celery(broker=url)))
    windows: list[Window] = []
    clock: Callable[[], float] = time.monotonic

    def new_window(machines: dict[str, int]) -> Window:
        window = Window(
            seconds=60,
            machines_per_plant=1_000_000,
            max_cached=200_000,
            max_clock_skew=1e9,
            machine_counts=machines,
            clock=clock,
        )
        windows.append(window)
        return window

    sink = NullSink()
    stopping: Callable[[], bool] = lambda: bool(windows) and windows[0].counted >= beats  # noqa: E731
    Coalescer(source, sink, NullLatestReadings(), new_window, is_stopping=stopping, lease=30).run()
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - source.started_at,
                "cpu": time.process_time() - source.cpu_at_start,
                "rss_mb": psutil.Process().memory_info().rss / 1e6,
                "machines": sink.machines,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
