"""`python -m workers.heartbeats`: read heartbeats until SIGTERM or SIGINT, then write what was read and leave.

Exit codes: 0 stopped, 1 something failed (start it again), 78 an operator must decide (do not).
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

from tasks.observability.logs import logging_config
from tasks.settings import Settings, settings
from workers.heartbeats.coalescer import Coalescer
from workers.heartbeats.database_nodes import DatabaseNodes, NoWritableNode
from workers.heartbeats.latest_readings import LatestReadings, NullLatestReadings, RedisLatestReadings
from workers.heartbeats.metrics import NULL_OBSERVER, CoalescerMetrics, Observer
from workers.heartbeats.sink import LeaseLost, TableSink, WriteRejected
from workers.heartbeats.sources import PositionLost
from workers.heartbeats.sources.factory import build_source, source_name
from workers.heartbeats.sources.kafka import InvalidSource
from workers.heartbeats.window import Window

EX_CONFIG = 78  # sysexits.h

# Seconds that a database which does not answer gets when we are told to stop.
SHUTDOWN_GRACE = 10.0

logger = logging.getLogger("workers.heartbeats")


class StopSignal:
    """Set by a signal; after a grace even what must not be given up is."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._asked_at = 0.0
        self.wait = self._asked.wait

    def request(self) -> None:
        self._asked_at = time.monotonic()
        self._asked.set()

    def is_requested(self) -> bool:
        return self._asked.is_set()

    def is_grace_over(self) -> bool:
        return self.is_requested() and time.monotonic() - self._asked_at > SHUTDOWN_GRACE


def main() -> int:
    """Run one coalescer. Returns the exit code."""
    here = settings()
    logging.config.dictConfig(logging_config(here.log_format))
    stop = StopSignal()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.request())
    gc.disable()  # a hundred thousand machines make no cycles, and looking for some would take a tenth of the time
    try:
        build_coalescer(here, stop).run()
    except (PositionLost, InvalidSource) as error:
        logger.critical("%s", error)
        return EX_CONFIG
    except (LeaseLost, WriteRejected, NoWritableNode) as error:
        logger.critical("%s", error)
        return 1
    return 0


def build_coalescer(here: Settings, stop: StopSignal) -> Coalescer:
    """The coalescer of these settings. Connects to nothing yet."""
    holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
    sink = TableSink(
        DatabaseNodes(here.heartbeats_database_nodes()),
        source_name(here),
        holder,
        should_give_up=stop.is_grace_over,
        wait=time.sleep,
    )

    def new_window(machines: dict[str, int]) -> Window:
        return Window(
            seconds=here.heartbeats_window,
            machines_per_plant=here.machines_per_plant,
            max_cached=here.machine_cache_size,
            max_clock_skew=here.max_clock_skew,
            machine_counts=machines,
            clock=time.monotonic,
        )

    return Coalescer(
        build_source(here),
        sink,
        build_latest_readings(here),
        new_window,
        is_stopping=stop.is_requested,
        lease=here.heartbeats_lease,
        wait=stop.wait,
        observer=build_observer(here),
    )


def build_observer(here: Settings) -> Observer:
    """Metrics where they have a port."""
    if not here.heartbeats_metrics_port:
        return NULL_OBSERVER
    metrics = CoalescerMetrics()
    metrics.serve(here.heartbeats_metrics_port)
    return metrics


def build_latest_readings(here: Settings) -> LatestReadings:
    """Redis where there is one."""
    if here.redis_url is None:
        return NullLatestReadings()
    return RedisLatestReadings(here.redis_url.get_secret_value(), here.sensors_ttl)


if __name__ == "__main__":
    sys.exit(main())
