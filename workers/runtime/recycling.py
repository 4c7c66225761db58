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
LEFT_OPEN = 256


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a child may come to beyond what it was when it was ready: `seconds` of age, bytes of `growth`."""

    seconds: float
    growth: int
    left_open: int = LEFT_OPEN


def why_replace(allowance: Allowance, *, age: float, growth: int, left_open: int) -> str:
    """Why a child must go, in a sentence; empty if it may stay."""
    if growth > allowance.growth:
        return f"It holds {growth // MIB} MB more than when it began."
    if left_open > allowance.left_open:
        return f"Its jobs left {left_open} files open."
    if age > allowance.seconds:
        return f"It is {age:.0f} s old."
    return ""


class Lifetime:
    """The life of this process, from when it is ready for its first job."""

    def __init__(self, allowance: Allowance, clock: Callable[[], float] = time.monotonic) -> None:
        self._allowance = allowance
        self._clock = clock
        self._began = clock()
        self._live = process_stats.live()
        self._open = process_stats.descriptors()

    def over(self) -> str:
        """Why this process must go, in a sentence; empty if it may stay. Costs some 20 microseconds.

        Free memory that the allocator keeps is no leak: where growth is the reason, it is given back first (tens of
        milliseconds), and only what is left then counts.
        """
        if self._growth() > self._allowance.growth:
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)
        return why_replace(
            self._allowance,
            age=self._clock() - self._began,
            growth=self._growth(),
            left_open=process_stats.descriptors() - self._open,
        )

    def _growth(self) -> int:
        return process_stats.live() - self._live
