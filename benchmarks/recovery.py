"""How soon work goes on after a worker child was killed, beside Celery as it comes; what a new child costs.

    python -m benchmarks.recovery [--kills 300] [--stock-kills 300]

Children that hold 300 MB and four threads are killed with SIGKILL at random moments; the time runs from the kill to
the first line of the next attempt at the same job. Ours claims each attempt from the ledger, stock Celery does not.
Starts a RabbitMQ of its own; some six minutes, 20 more for 300 kills of stock Celery. The last line of output is one
JSON object: `p50_ms`, `p99_ms`, `max_ms`, the same of stock Celery, `child_ready_ms` (median, fork to ready),
`recycle_ms` (what a replaced child adds between two jobs) and `recycle_overhead_percent` (its share where jobs of 1 s
come and a child takes as many as the settings say).
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

# Seconds: within which a child may be killed once it holds its memory, and how long any line is waited for.
MAX_KILL_DELAY = 0.05
TIMEOUT = 60.0

# A render's child gives way to every other process; stock Celery's does not, so neither may ours here.
COMPARABLE_SETTINGS = {"BULKHEAD_CHILD_NICENESS": "0"}

# Naps to measure replaced children with: after every second one the child is replaced.
NAPS = 80
NAPS_PER_CHILD = 2


class EventPipe:
    """What workers say through a pipe: (seconds, process, word)."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._pipe = os.open(path, os.O_RDWR)  # held open for writing, too: it never ends
        self._rest = b""
        self._said: list[tuple[float, int, str]] = []
        self.ready_seconds: list[float] = []

    def wait_for(self, start: str) -> tuple[float, int, str]:
        """The next word that starts so. Raises TimeoutError."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            while self._said:
                said = self._said.pop(0)
                if said[2].startswith("ready "):
                    self.ready_seconds.append(float(said[2].split()[1]))
                if said[2].startswith(start):
                    return said
            if not select.select([self._pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError(f"no worker said {start!r} within {TIMEOUT:g} s: see its log")
            *lines, self._rest = (self._rest + os.read(self._pipe, 65536)).split(b"\n")
            for line in lines:
                moment, pid, word = line.decode().split(" ", 2)
                self._said.append((float(moment), int(pid), word))

    def close(self) -> None:
        """Remove the pipe."""
        os.close(self._pipe)
        self.path.unlink()


@contextmanager
def running_worker(home: Path, module: str, *options: str) -> Iterator[EventPipe]:
    """A worker of `module`'s app; what it says."""
    words = EventPipe(home / "pipe")
    (home / "seen").mkdir(exist_ok=True)
    program = Program(
        name=module.rpartition(".")[2],
        command=(sys.executable, "-m", "celery", "-A", module, "worker", "-c", "1", "-l", "WARNING", *options),
        is_ready=lambda: True,
        environment={**os.environ, PIPE: str(words.path), SEEN_DIRECTORY: str(home / "seen")},
        directory=home,
    )
    process = Process(program, home / "log")
    process.start()
    try:
        yield words
    finally:
        process.stop()
        words.close()


def measure_recoveries(words: EventPipe, publish: Callable[[str], None], kills: int) -> list[float]:
    """Seconds from each kill to the next attempt at its job."""
    found = []
    for number in range(kills):
        job = str(uuid4())
        publish(job)
        words.wait_for(f"begun {job}")
        _, pid, _ = words.wait_for("holding")
        time.sleep(random.uniform(0, MAX_KILL_DELAY))
        killed = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        began, _, _ = words.wait_for(f"begun {job}")
        found.append(began - killed)
        if (number + 1) % 50 == 0:
            print_progress(
                f"  {number + 1} kills, median {1000 * statistics.median(found):.0f} ms, worst {max(found):.2f} s"
            )
    return found


def measure_replacement(words: EventPipe, publish: Callable[[str], None]) -> float:
    """Seconds that a replaced child adds between two jobs, the queue never empty."""
    for _ in range(NAPS):
        publish(str(uuid4()))
    spans = [(words.wait_for("begun nap"), words.wait_for("ended nap")) for _ in range(NAPS)]
    same: list[float] = []
    replaced: list[float] = []
    for (_, ended), (begun, _) in pairwise(spans):
        (same if ended[1] == begun[1] else replaced).append(begun[0] - ended[0])
    return statistics.median(replaced) - statistics.median(same)


def percentiles_ms(found: list[float], prefix: str = "") -> dict[str, float]:
    """p50, p99 and the worst, in milliseconds."""
    if len(found) < 2:
        return {}
    cuts = statistics.quantiles(found, n=100, method="inclusive")
    chosen = {"p50_ms": cuts[49], "p99_ms": cuts[98], "max_ms": max(found)}
    return {f"{prefix}{name}": round(1000 * value, 1) for name, value in chosen.items()}


def main() -> None:
    """Run everything and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=300, help="kills of our children (300)")
    parser.add_argument("--stock-kills", type=int, default=300, help="kills of stock Celery's (300); 0 leaves it out")
    chosen = parser.parse_args()
    with scratch() as home, running_broker(home) as broker_url, running_platform(home, broker_url):
        os.environ.update({BROKER_URL: broker_url, "PYTHONPATH": str(ROOT), **COMPARABLE_SETTINGS})
        # They read the settings, which are known only now.
        from benchmarks.support import memory_hog_bulkhead, memory_hog_celery
        from tasks.settings import settings

        load = os.getloadavg()[0]
        print_progress("ours ...")
        with running_worker(home, memory_hog_bulkhead.__name__, "-Q", "render") as words:
            ours = measure_recoveries(words, memory_hog_bulkhead.publish, chosen.kills)
            ready = statistics.median(words.ready_seconds)
        os.environ["BULKHEAD_MAX_JOBS_PER_CHILD"] = str(NAPS_PER_CHILD)
        with running_worker(home, memory_hog_bulkhead.__name__, "-Q", "render") as words:
            replaced = measure_replacement(words, memory_hog_bulkhead.publish_nap)
        print_progress("stock Celery ...")
        with running_worker(home, memory_hog_celery.__name__) as words:
            stock = measure_recoveries(words, memory_hog_celery.publish, chosen.stock_kills)
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
