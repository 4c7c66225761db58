"""A leaking job compared with a clean one: the cost of replacing children before they reach their memory limit.

    python -m benchmarks.recycling [--jobs 2000]

Each worker runs in a memory cgroup of 128 MiB (as root, or in a delegated cgroup). The leak, a cloned wand of 283 kB
per job, adds up to twice that in each of two rounds of 1,000 jobs. Starts its own RabbitMQ. The last line of output is
one JSON object: `leaky_per_second`, `clean_per_second` (medians of alternating rounds), `throughput_ratio`,
`kernel_kills`, `lost_attempts`, the number of `children` that the leaking jobs used, and `peak_mb` of their cgroup.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

import psutil

# Run as a file, this folder would hide the packages `leaks` and `web`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.services import print_progress, print_result, running_broker, running_platform, scratch
from tests.services.platform import Platform
from workers.sandbox.leaf_cgroup import leaf_cgroup

MIB = 1024**2

# Pixels: 188 x 188 of 8 bytes are 283 kB.
SIDE = 188
MEMORY_LIMIT = 128 * MIB
GROWTH_LIMIT = 32 * MIB

# Children are replaced only because of memory growth, and run with normal CPU priority.
SETTINGS = {"max_child_memory_growth": str(GROWTH_LIMIT), "max_jobs_per_child": "1000000", "child_niceness": "0"}

ROUNDS = 2
WARM_UP = 5
TIMEOUT = 1800.0


def run(platform: Platform, name: str, jobs: int, *, leaks: bool) -> dict[str, float]:
    """Run `jobs` jobs on a new worker. Returns jobs per second, and figures of its cgroup and its children."""
    from tasks import app
    from tasks.jobs import State, open_ledger
    from tasks.messaging.publisher import Publisher
    from tests.services.faults import leaky

    ledger, publisher = open_ledger(platform.settings), Publisher(app, 5.0)
    with leaf_cgroup(MEMORY_LIMIT) as cgroup:
        if cgroup is None:
            raise SystemExit("No memory cgroup can be made here. Run it as root, or in a delegated cgroup.")
        worker = platform.start_worker(name, "--include", leaky.__name__, "--loglevel", "WARNING", **SETTINGS)
        for process in (psutil.Process(worker.pid), *psutil.Process(worker.pid).children()):
            cgroup.add(process.pid)
        ids = [leaky.publish(publisher, side=SIDE, leaks=leaks) for _ in range(jobs + WARM_UP)]
        deadline = time.monotonic() + TIMEOUT
        while not all((job := ledger.jobs.find(each)) and job.state is State.SUCCEEDED for each in ids[-3:]):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{jobs} jobs were not done within {TIMEOUT:g} s: see the log of {name}")
            time.sleep(0.1)
        attempts = sorted(
            (one for each in ids for one in ledger.attempts.history(each)), key=lambda one: one.started_at
        )
        worker.stop()
        peak = _peak_bytes(cgroup.path)
        kills = cgroup.oom_kills()
    counted = attempts[WARM_UP:]
    ended = max(one.ended_at or 0 for one in counted)
    return {
        "per_second": (len(counted) - 1) / (ended - counted[0].started_at),
        "kills": kills,
        "lost": len(attempts) - len(ids),
        "children": len({one.lease_owner for one in attempts}),
        "peak": peak,
    }


def _peak_bytes(cgroup: Path) -> int:
    for name in ("memory.peak", "memory.max_usage_in_bytes"):
        if (cgroup / name).exists():
            return int((cgroup / name).read_text())
    return 0


def main() -> None:
    """Run everything and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2000, help="leaking jobs, and as many clean ones (2000)")
    jobs = parser.parse_args().jobs // ROUNDS
    load = os.getloadavg()[0]
    with scratch() as home, running_broker(home) as broker_url, running_platform(home, broker_url) as platform:
        results: dict[bool, list[dict[str, float]]] = {True: [], False: []}
        for number in range(ROUNDS):
            for leaks in (True, False) if number % 2 else (False, True):
                results[leaks].append(run(platform, f"{'leaky' if leaks else 'clean'}{number}", jobs, leaks=leaks))
                print_progress(f"round {number + 1}, {'leaky' if leaks else 'clean'}: {results[leaks][-1]}")
    leaky, clean = (statistics.median(one["per_second"] for one in results[leaks]) for leaks in (True, False))
    print_result(
        {
            "jobs": jobs * ROUNDS,
            "leaky_per_second": round(leaky, 1),
            "clean_per_second": round(clean, 1),
            "throughput_ratio": round(
                statistics.median(
                    one["per_second"] / two["per_second"]
                    for one, two in zip(results[True], results[False], strict=True)
                ),
                3,
            ),
            "kernel_kills": sum(one["kills"] for one in results[True]),
            "lost_attempts": sum(one["lost"] for one in results[True]),
            "children": sum(one["children"] for one in results[True]),
            "peak_mb": round(max(one["peak"] for one in results[True]) / MIB),
            "load": round(load, 1),
        }
    )


if __name__ == "__main__":
    main()
