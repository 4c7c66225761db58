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

from tasks.observability.logs import configuration
from tasks.settings import Settings, settings
from workers.heartbeats.coalescer import Coalescer
from workers.heartbeats.latest_readings import Live, RedisLive, Unwatched
from workers.heartbeats.metrics import UNOBSERVED, Metrics, Observer
from workers.heartbeats.nodes import Nodes, NoNode
from workers.heartbeats.sink import Fenced, Refused, TableSink
from workers.heartbeats.sources import PositionLost
from workers.heartbeats.sources.choice import source_name, source_of
from workers.heartbeats.sources.kafka import Unusable
from workers.heartbeats.window import Window

EX_CONFIG = 78  # sysexits.h

# Seconds that a database which does not answer gets when we are told to stop.
GRACE = 10.0

logger = logging.getLogger("workers.heartbeats")


class Stop:
    """Set by a signal; after a grace even what must not be given up is."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._asked_at = 0.0
        self.wait = self._asked.wait

    def ask(self) -> None:
        self._asked_at = time.monotonic()
        self._asked.set()

    def asked(self) -> bool:
        return self._asked.is_set()

    def out_of_patience(self) -> bool:
        return self.asked() and time.monotonic() - self._asked_at > GRACE


def main() -> int:
    """Run one coalescer. Returns the exit code."""
    here = settings()
    logging.config.dictConfig(configuration(here.log_format))
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.ask())
    gc.disable()  # a hundred thousand machines make no cycles, and looking for some would take a tenth of the time
    try:
        build(here, stop).run()
    except (PositionLost, Unusable) as error:
        logger.critical("%s", error)
        return EX_CONFIG
    except (Fenced, Refused, NoNode) as error:
        logger.critical("%s", error)
        return 1
    return 0


def build(here: Settings, stop: Stop) -> Coalescer:
    """The coalescer of these settings. Connects to nothing yet."""
    holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
    sink = TableSink(
        Nodes(here.heartbeats_nodes()), source_name(here), holder, giving_up=stop.out_of_patience, wait=time.sleep
    )

    def new_window(machines: dict[str, int]) -> Window:
        return Window(
            seconds=here.heartbeats_window,
            limit=here.machines_per_plant,
            memory=here.machines_in_memory,
            future=here.heartbeats_future,
            machines=machines,
            clock=time.monotonic,
        )

    return Coalescer(
        source_of(here),
        sink,
        live_of(here),
        new_window,
        stopping=stop.asked,
        lease=here.heartbeats_lease,
        wait=stop.wait,
        observer=observer_of(here),
    )


def observer_of(here: Settings) -> Observer:
    """Metrics where they have a port."""
    if not here.coalescer_metrics_port:
        return UNOBSERVED
    metrics = Metrics()
    metrics.serve(here.coalescer_metrics_port)
    return metrics


def live_of(here: Settings) -> Live:
    """Redis where there is one."""
    if here.redis_url is None:
        return Unwatched()
    return RedisLive(here.redis_url.get_secret_value(), here.sensors_keep)


if __name__ == "__main__":
    sys.exit(main())
