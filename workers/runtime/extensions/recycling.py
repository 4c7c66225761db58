"""When a worker child is recycled: between two jobs, for its age, or for memory and files that it does not release.

Celery's limit (`worker_max_memory_per_child`) uses the peak of the resident set. One large job drives a healthy child
over it, and the peak does not show how much a leak has left behind. This module measures current memory instead.
"""

import ctypes
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

from tasks.utils.units import format_bytes
from workers.sandbox import process_stats

# Descriptors that jobs may leave open: a quarter of the limit of a child (`limits.MAX_DESCRIPTORS`).
MAX_LEFT_OPEN = 256


@dataclass(frozen=True, slots=True)
class RecyclingPolicy:
    """Limits of a child since it was ready: age in seconds, memory growth in bytes, files left open."""

    max_age: float
    max_growth: int
    max_left_open: int = MAX_LEFT_OPEN


def reason_to_recycle(policy: RecyclingPolicy, *, age: float, growth: int, left_open: int) -> str:
    """Why a child must be recycled, in a sentence; empty if it may continue."""
    if growth > policy.max_growth:
        return f"It uses {format_bytes(growth)} more than when it started."
    if left_open > policy.max_left_open:
        return f"Its jobs left {left_open} files open."
    if age > policy.max_age:
        return f"It is {age:.0f} s old."
    return ""


class ChildLifetime:
    """Age and growth of this process since it was ready for its first job."""

    def __init__(self, policy: RecyclingPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self._clock = clock
        self._started_at = clock()
        self._anonymous_at_start = process_stats.anonymous_memory()
        self._descriptors_at_start = process_stats.open_descriptors()

    def recycle_reason(self) -> str:
        """Why this process must be recycled, in a sentence; empty if it may continue. Takes about 20 microseconds.

        Free memory that the allocator retains is no leak: a process over its growth limit returns it to the system
        first (tens of milliseconds), and only the rest counts.
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
