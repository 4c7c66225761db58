"""How soon work continues after a worker child is killed, compared with stock Celery, and the cost of a new child.

    python -m benchmarks.recovery [--kills 300] [--stock-kills 300]

Children with 300 MB and four threads are killed with SIGKILL at random moments. The time runs from the kill to the
start of the next attempt at the same job. Bulkhead claims each attempt from the ledger; stock Celery does not. Starts
its own RabbitMQ; takes about six minutes, and 20 more for 300 kills of stock Celery. The last line of output is one
JSON object: `p50_ms`, `p99_ms`, `max_ms`, the same for stock Celery, `child_ready_ms` (median, from fork to ready),
`recycle_ms` (the time that a replaced child adds between two jobs) and `recycle_overhead_percent` (its share if jobs
take 1 s and a child runs as many as the settings allow).
"""

import argparse
import os
import random
import select
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

# Run as a file, this folder would hide the packages `leaks` and `web`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.peers import BROKER_URL
from benchmarks.support.memory_hog import PIPE, SEEN_DIRECTORY
from benchmarks.support.services import ROOT, print_progress, print_result, running_broker, running_platform, scratch
from cli.embedded.process import Process, Program

# A child is killed at a random time within this many seconds after it holds its memory; time limit for any event.
MAX_KILL_DELAY = 0.05
TIMEOUT = 60.0

# Stock Celery does not lower the CPU priority of its children, so ours must not do so here.
COMPARABLE_SETTINGS = {"BULKHEAD_CHILD_NICENESS": "0"}

# Naps for measuring replaced children: the child is replaced after every second one.
NAPS = 80
NAPS_PER_CHILD = 2


class EventPipe:
    """Events that workers write to a pipe: (seconds, process id, event)."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._pipe = os.open(path, os.O_RDWR)  # also open for writing, so that it never ends
        self._rest = b""
        self._events: list[tuple[float, int, str]] = []
        self.ready_seconds: list[float] = []

    def wait_for(self, start: str) -> tuple[float, int, str]:
        """The next event that begins with `start`. Raises TimeoutError."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            while self._events:
                event = self._events.pop(0)
                if event[2].startswith("ready "):
                    self.ready_seconds.append(float(event[2].split()[1]))
                if event[2].startswith(start):
                    return event
            if not select.select([self._pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError(f"no worker wrote {start!r} within {TIMEOUT:g} s: see its log")
            *lines, self._rest = (self._rest + os.read(self._pipe, 65536)).split(b"\n")
            for line in lines:
                moment, pid, word = line.decode().split(" ", 2)
                self._events.append((float(moment), int(pid), word))

    def close(self) -> None:
        """Remove the pipe."""
        os.close(self._pipe)
        self.path.unlink()


@contextmanager
def running_worker(home: Path, module: str, *options: str) -> Iterator[EventPipe]:
    """Run a worker of the app in `module`. Yields its events."""
    events = EventPipe(home / "pipe")
    (home / "seen").mkdir(exist_ok=True)
    program = Program(
        name=module.rpartition(".")[2],
        command=(sys.executable, "-m", "celery", "-A", module, "worker", "-c", "1", "-l", "WARNING", *options),
        is_ready=lambda: True,
        environment={**os.environ, PIPE: str(events.path), SEEN_DIRECTORY: str(home / "seen")},
        directory=home,
    )
    process = Process(program, home / "log")
    process.start()
    try:
        yield events
    finally:
        process.stop()
        events.close()


def measure_recoveries(events: EventPipe, publish: Callable[[str], None], kills: int) -> list[float]:
    """Seconds from each kill to the next attempt at the job."""
    seconds = []
    for number in range(kills):
        job = str(uuid4())
        publish(job)
        events.wait_for(f"started {job}")
        _, pid, _ = events.wait_for("holding")
        time.sleep(random.uniform(0, MAX_KILL_DELAY))
        killed = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        restarted, _, _ = events.wait_for(f"started {job}")
        seconds.append(restarted - killed)
        if (number + 1) % 50 == 0:
            print_progress(
                f"  {number + 1} kills, median {1000 * statistics.median(seconds):.0f} ms, worst {max(seconds):.2f} s"
            )
    return seconds


def measure_both(home: Path, kills: int, stock_kills: int) -> tuple[list[float], list[float]]:
    """Seconds from each kill to the next attempt, of Bulkhead and of stock Celery. A platform is running."""
    os.environ.update({"PYTHONPATH": str(ROOT), **COMPARABLE_SETTINGS})
    # These modules read the settings, which are known only now.
    from benchmarks.support import memory_hog_bulkhead, memory_hog_celery

    print_progress("Bulkhead ...")
    with running_worker(home, memory_hog_bulkhead.__name__, "-Q", "render") as events:
        ours = measure_recoveries(events, memory_hog_bulkhead.publish, kills)
    print_progress("stock Celery ...")
    with running_worker(home, memory_hog_celery.__name__) as events:
        stock = measure_recoveries(events, memory_hog_celery.publish, stock_kills)
    return ours, stock


def measure_replacement(events: EventPipe, publish: Callable[[str], None]) -> float:
    """Seconds that a replaced child adds between two jobs, with a queue that is never empty."""
    for _ in range(NAPS):
        publish(str(uuid4()))
    spans = [(events.wait_for("started nap"), events.wait_for("ended nap")) for _ in range(NAPS)]
    same: list[float] = []
    replaced: list[float] = []
    for (_, ended), (started, _) in pairwise(spans):
        (same if ended[1] == started[1] else replaced).append(started[0] - ended[0])
    return statistics.median(replaced) - statistics.median(same)


def percentiles_ms(seconds: list[float], prefix: str = "") -> dict[str, float]:
    """Median, 99th percentile and maximum, in milliseconds."""
    if len(seconds) < 2:
        return {}
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    percentiles = {"p50_ms": cuts[49], "p99_ms": cuts[98], "max_ms": max(seconds)}
    return {f"{prefix}{name}": round(1000 * value, 1) for name, value in percentiles.items()}


def main() -> None:
    """Run everything and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=300, help="kills of our children (300)")
    parser.add_argument("--stock-kills", type=int, default=300, help="kills of stock Celery's (300); 0 leaves it out")
    arguments = parser.parse_args()
    with scratch() as home, running_broker(home) as broker_url, running_platform(home, broker_url):
        os.environ[BROKER_URL] = broker_url
        ours, stock = measure_both(home, arguments.kills, arguments.stock_kills)
        # These modules read the settings, which are known only now.
        from benchmarks.support import memory_hog_bulkhead
        from tasks.settings import settings

        os.environ["BULKHEAD_MAX_JOBS_PER_CHILD"] = str(NAPS_PER_CHILD)
        with running_worker(home, memory_hog_bulkhead.__name__, "-Q", "render") as events:
            replaced = measure_replacement(events, memory_hog_bulkhead.publish_nap)
            ready = statistics.median(events.ready_seconds)
        load = os.getloadavg()[0]
    print_result(
        {
            **percentiles_ms(ours),
            **percentiles_ms(stock, "stock_"),
            "kills": len(ours),
            "stock_kills": len(stock),
            "child_ready_ms": round(1000 * ready, 1),
            "recycle_ms": round(1000 * replaced, 1),
            "recycle_overhead_percent": round(100 * replaced / settings().max_jobs_per_child, 2),
            "load": round(load, 1),
        }
    )


if __name__ == "__main__":
    main()
