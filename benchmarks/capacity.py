"""Compares `tasks.jobs.capacity` with a simulation of first-come-first-served queues with up to 10,000 workers.

    python -m benchmarks.capacity

Renders arrive at random (Poisson) and take 1 s on average, with three distributions. The last line of output is one
JSON object: for every number of workers the computed and the simulated 99th percentile of the wait, in seconds.
"""

import heapq
import json
import math
import random
import sys
from collections.abc import Callable
from pathlib import Path

# Run as a file, this folder would hide the packages `leaks` and `web`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tasks.jobs.capacity import ServiceTime, size_workers

# Average number of busy workers.
LOADS = (2, 10, 100, 1_000, 8_500)
WAIT = 1.0  # seconds
WARM_UP = 0.2  # fraction of the renders that arrive before the queue is in a steady state
RENDERS = 500_000


def constant_time(_chance: random.Random) -> float:
    """Every render takes one second."""
    return 1.0


def lognormal_time(chance: random.Random) -> float:
    """Log-normal, like measured renders: most are fast, few are slow. The variance is 1.5 times the squared mean."""
    variance = math.log(1 + 1.5)
    return chance.lognormvariate(-variance / 2, math.sqrt(variance))


def bimodal_time(chance: random.Random) -> float:
    """95 % take 0.5 s and the others 10.5 s, like previews and tiles in one queue."""
    return 10.5 if chance.random() < 0.05 else 0.5


SPREADS: dict[str, tuple[Callable[[random.Random], float], float]] = {
    "alike": (constant_time, 0.0),
    "spread": (lognormal_time, 1.5),
    "two_kinds": (bimodal_time, 4.75),
}


def simulate(workers: int, rate: float, seconds: Callable[[random.Random], float], chance: random.Random) -> float:
    """The 99th percentile of the wait, in seconds."""
    free_at = [0.0] * workers
    now, waits = 0.0, []
    for number in range(RENDERS):
        now += chance.expovariate(rate)
        begins = max(now, free_at[0])
        heapq.heapreplace(free_at, begins + seconds(chance))
        if number >= RENDERS * WARM_UP:
            waits.append(begins - now)
    return sorted(waits)[int(0.99 * (len(waits) - 1))]


def main() -> None:
    """Print a table and the result."""
    chance = random.Random(1)
    rows = []
    for name, (seconds, scv) in SPREADS.items():
        for rate in LOADS:
            sizing = size_workers(ServiceTime(1.0, scv), rate, WAIT)
            rows.append(
                {
                    "spread": name,
                    "rate": rate,
                    "workers": sizing.workers,
                    "busy": round(sizing.utilization, 3),
                    "computed_p99_s": round(sizing.max_wait, 2),
                    "simulated_p99_s": round(simulate(sizing.workers, rate, seconds, chance), 2),
                }
            )
            print("  ".join(f"{key} {value}" for key, value in rows[-1].items()))
    print(json.dumps({"wanted_p99_s": WAIT, "crews": rows}))


if __name__ == "__main__":
    main()
