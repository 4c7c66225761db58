"""When a worker child is replaced: between two jobs, for its age or for what it still holds when a job is over.

Celery's own bound on memory looks at the peak of the resident set. One large job drives a healthy child over it, and
how much a leak has left behind it cannot tell. Here it is what lives now that counts.
"""

import ctypes
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

from workers.sandbox import process_stats

MIB = 1024**2

# Descriptors that jobs may leave open: a quarter of what a child may have (`limits.MAX_DESCRIPTORS`).
MAX_LEFT_OPEN = 256


@dataclass(frozen=True, slots=True)
class RecyclingPolicy:
    """What a child may come to beyond what it was when it was ready: `seconds` of age, bytes of `growth`."""

    max_age: float
    max_growth: int
    max_left_open: int = MAX_LEFT_OPEN


def reason_to_recycle(policy: RecyclingPolicy, *, age: float, growth: int, left_open: int) -> str:
    """Why a child must go, in a sentence; empty if it may stay."""
    if growth > policy.max_growth:
        return f"It holds {growth // MIB} MB more than when it began."
    if left_open > policy.max_left_open:
        return f"Its jobs left {left_open} files open."
    if age > policy.max_age:
        return f"It is {age:.0f} s old."
    return ""


class ChildLifetime:
    """The life of this process, from when it is ready for its first job."""

    def __init__(self, policy: RecyclingPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self._clock = clock
        self._started_at = clock()
        self._anonymous_at_start = process_stats.anonymous_memory()
        self._descriptors_at_start = process_stats.open_descriptors()

    def recycle_reason(self) -> str:
        """Why this process must go, in a sentence; empty if it may stay. Costs some 20 microseconds.

        Free memory that the allocator keeps is no leak: where growth is the reason, it is given back first (tens of
        milliseconds), and only what is left then counts.
        """
        if self._growth() > self._policy.max_growth:
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)
        return reason_to_recycle(
            self._policy,
            age=self._clock() - self._started_at,
            growth=self._growth(),
            left_open=process_stats.open_descriptors() - self._descriptors_at_start,
        )

    def _growth(self) -> int:
        return process_stats.anonymous_memory() - self._anonymous_at_start
