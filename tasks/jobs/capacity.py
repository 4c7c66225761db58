"""The number of workers that a queue needs, from its service times, its arrival rate and the acceptable waiting time.

Renders that arrive independently and are served first come, first served form an M/G/c queue. The probability that a
render waits is Erlang's C. The waiting time is that of M/M/c, times (1 + scv) / 2 for service times with another spread
(Allen and Cunneen; A. O. Allen, Probability, Statistics and Queueing Theory, 1990, section 5.3).
`benchmarks/capacity.py` compares the result with a simulation.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, pvariance

# Share of the renders that may wait longer than the given waiting time.
SLOW_SHARE = 0.01

# Highest share of their time that workers should be busy. The formula would allow 99.5 % for a thousand workers, but no
# arrival rate is known that well, hosts are drained for upgrades, and a backlog must shrink again.
MAX_UTILIZATION = 0.85


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """The service time of renders: `mean` in seconds, and `scv`, the variance divided by `mean` squared."""

    mean: float
    scv: float


@dataclass(frozen=True, slots=True)
class Sizing:
    """A number of workers, the share of their time that they are busy, and the seconds within which 99 of 100 renders
    start."""

    workers: int
    utilization: float
    max_wait: float


def estimate_service_time(seconds: Sequence[float]) -> ServiceTime:
    """The service time estimated from the durations of at least one render."""
    mean = fmean(seconds)
    return ServiceTime(mean, pvariance(seconds, mean) / mean**2 if mean else 0.0)


def size_workers(service_time: ServiceTime, rate: float, max_wait: float) -> Sizing:
    """The smallest number of workers with which 99 of 100 renders start within `max_wait` seconds at `rate` renders per
    second, and which are not busier than MAX_UTILIZATION."""
    return next(
        sizing
        for sizing in _sizings(service_time, rate)
        if sizing.max_wait <= max_wait and sizing.utilization <= MAX_UTILIZATION
    )


def evaluate_workers(workers: int, service_time: ServiceTime, rate: float) -> Sizing:
    """The sizing for this number of workers. Raises ValueError if they are too few, so that the backlog would grow."""
    for sizing in _sizings(service_time, rate):
        if sizing.workers == workers:
            return sizing
        if sizing.workers > workers:
            break
    raise ValueError(f"{rate:g} renders per second of {service_time.mean:g} s each need more than {workers} workers")


def _sizings(service_time: ServiceTime, rate: float) -> Iterator[Sizing]:
    """Sizings whose workers keep up with the rate, smallest first."""
    offered_load = rate * service_time.mean  # busy workers on average
    blocking = 1.0  # Erlang's B, from zero workers upwards: B(c) = a B(c-1) / (c + a B(c-1))
    workers = 0
    while True:
        workers += 1
        blocking = offered_load * blocking / (workers + offered_load * blocking)
        if workers <= offered_load:
            continue
        utilization = offered_load / workers
        wait_probability = blocking / (1 - utilization * (1 - blocking))
        max_wait = 0.0
        if wait_probability > SLOW_SHARE:
            spread = (1 + service_time.scv) / 2
            drain_time = service_time.mean / (workers - offered_load)
            max_wait = math.log(wait_probability / SLOW_SHARE) * drain_time * spread
        yield Sizing(workers, utilization, max_wait)
