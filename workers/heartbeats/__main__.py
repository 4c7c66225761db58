"""`python -m workers.heartbeats`: read heartbeats until SIGTERM or SIGINT, then write what was read and exit.

Exit codes: 0 stopped, 1 an error (start it again), 78 an operator must act first (do not restart).
"""

import gc
import logging
import logging.config
import os
import signal
import socket
import sys
import threading
import time
from uuid import uuid4

from tasks.errors import BulkheadError
from tasks.observability.logs import logging_config
from tasks.settings import Settings, settings
from workers.heartbeats.coalescer import Coalescer
from workers.heartbeats.database_nodes import DatabaseNodes
from workers.heartbeats.latest_readings import LatestReadings, NullLatestReadings, RedisLatestReadings
from workers.heartbeats.metrics import NULL_OBSERVER, CoalescerMetrics, Observer
from workers.heartbeats.sink import TableSink
from workers.heartbeats.sources import PositionLost
from workers.heartbeats.sources.factory import build_source, source_name
from workers.heartbeats.sources.kafka import InvalidSource
from workers.heartbeats.window import Window

EX_CONFIG = 78  # sysexits.h

# Seconds that an unavailable database is waited for after a stop was requested.
SHUTDOWN_GRACE = 10.0

logger = logging.getLogger("workers.heartbeats")


class StopSignal:
    """Set by a signal. Once the grace period is over, even the last write is given up."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._requested_at = 0.0
        self.wait = self._requested.wait

    def request(self) -> None:
        self._requested_at = time.monotonic()
        self._requested.set()

    def is_requested(self) -> bool:
        return self._requested.is_set()

    def is_grace_over(self) -> bool:
        return self.is_requested() and time.monotonic() - self._requested_at > SHUTDOWN_GRACE


def main() -> int:
    """Run one coalescer. Returns the exit code."""
    config = settings()
    logging.config.dictConfig(logging_config(config.log_format))
    stop = StopSignal()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.request())
    gc.disable()  # a hundred thousand machines hold no cycles, and searching for cycles would take a tenth of the time
    try:
        build_coalescer(config, stop).run()
    except BulkheadError as error:
        logger.critical("%s", error)
        return EX_CONFIG if isinstance(error, (PositionLost, InvalidSource)) else 1
    return 0


def build_coalescer(config: Settings, stop: StopSignal) -> Coalescer:
    """The coalescer of these settings. Connects to nothing yet."""
    sink = TableSink(
        DatabaseNodes(config.heartbeats_database_nodes()),
        source_name(config),
        f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}",
        should_give_up=stop.is_grace_over,
        wait=time.sleep,
    )

    def new_window(machine_counts: dict[str, int]) -> Window:
        return Window(
            seconds=config.heartbeats_window,
            machines_per_plant=config.machines_per_plant,
            max_cached=config.machine_cache_size,
            max_clock_skew=config.max_clock_skew,
            machine_counts=machine_counts,
            clock=time.monotonic,
        )

    return Coalescer(
        build_source(config),
        sink,
        build_latest_readings(config),
        new_window,
        is_stopping=stop.is_requested,
        lease=config.heartbeats_lease,
        wait=stop.wait,
        observer=build_observer(config),
    )


def build_observer(config: Settings) -> Observer:
    """Metrics, if a port is configured for them."""
    if not config.heartbeats_metrics_port:
        return NULL_OBSERVER
    metrics = CoalescerMetrics()
    metrics.serve(config.heartbeats_metrics_port)
    return metrics


def build_latest_readings(config: Settings) -> LatestReadings:
    """Redis, if it is configured."""
    if config.redis_url is None:
        return NullLatestReadings()
    return RedisLatestReadings(config.redis_url.get_secret_value(), config.sensors_ttl)


if __name__ == "__main__":
    sys.exit(main())
