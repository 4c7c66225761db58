"""How many workers a lane needs: from how long its renders take, how many come, and how long they may wait.

Renders that come independently of each other and are taken first come, first served by `workers` are a queue M/G/c. The
chance that one has to wait is Erlang's C. How long is the waiting time of M/M/c, times (1 + scv) / 2 for service times
of another spread (Allen and Cunneen; A. O. Allen, Probability, Statistics and Queueing Theory, 1990, section 5.3).
`benchmarks/capacity.py` compares it with a simulation.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, pvariance

# Part of the renders that may wait longer than was asked for.
SLOW_SHARE = 0.01


# Part of their time in which a crew should be busy at the most. The formula would let a thousand workers be busy for
# 99.5 % of it, but no rate is known so well, hosts are drained for upgrades, and what piled up must go down again.
MAX_UTILIZATION = 0.85


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """How long renders take: `mean` seconds, and `scv`, the variance over the square of the mean (0: all alike)."""

    mean: float
    scv: float


@dataclass(frozen=True, slots=True)
class Sizing:
    """So many workers, the part of their time in which they are busy, and the seconds that 99 of 100 renders wait at
    most."""

    workers: int
    utilization: float
    max_wait: float


def estimate_service_time(seconds: Sequence[float]) -> ServiceTime:
    """What measured renders (at least one) say about those to come."""
    mean = fmean(seconds)
    return ServiceTime(mean, pvariance(seconds, mean) / mean**2 if mean else 0.0)


def size_workers(service_time: ServiceTime, rate: float, max_wait: float) -> Sizing:
    """The fewest workers with which 99 of 100 renders wait no longer than `wait` seconds, at `rate` renders a second,
    and which have time to spare."""
    return next(
        crew
        for crew in _sizings(service_time, rate)
        if crew.max_wait <= max_wait and crew.utilization <= MAX_UTILIZATION
    )


def evaluate_workers(workers: int, service_time: ServiceTime, rate: float) -> Sizing:
    """What so many workers achieve. Raises ValueError if they are fewer than the renders need, so that all wait."""
    for crew in _sizings(service_time, rate):
        if crew.workers == workers:
            return crew
        if crew.workers > workers:
            break
    raise ValueError(f"{rate:g} renders a second of {service_time.mean:g} s keep more than {workers} workers busy")


def _sizings(service_time: ServiceTime, rate: float) -> Iterator[Sizing]:
    """Crews that can keep up, smallest first."""
    offered = rate * service_time.mean  # workers that are busy on average
    blocked = 1.0  # Erlang's B, from no worker upwards: B(c) = a B(c-1) / (c + a B(c-1))
    workers = 0
    while True:
        workers += 1
        blocked = offered * blocked / (workers + offered * blocked)
        if workers <= offered:
            continue
        busy = offered / workers
        waiting = blocked / (1 - busy * (1 - blocked))
        longest = 0.0
        if waiting > SLOW_SHARE:
            longest = (
                math.log(waiting / SLOW_SHARE) * service_time.mean * (1 + service_time.scv) / 2 / (workers - offered)
            )
        yield Sizing(workers, busy, longest)
