"""When a sandboxed process must be stopped: a pure decision from what its supervisor measures.

A process is guilty only of what it did itself. Its time limit counts its own processor time, and it hangs only if it
sleeps: neither a frozen or overloaded host nor a slow disk makes it guilty.
"""

from dataclasses import dataclass

from tasks.utils.units import format_bytes
from workers.sandbox.causes import Cause, Death

# Seconds between two measurements. A fast process touches about 100 MiB in between.
INTERVAL = 0.05

# Threads of one process. A render has a dozen.
MAX_THREADS = 128


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a sandboxed process.

    `memory` is its resident set in bytes, `cpu` its processor time in seconds, `idle` the seconds in which it may
    neither compute nor report progress. After `wall` seconds it is stopped without guilt. `file` are the bytes of a
    file, `disk` those of its directory.
    """

    memory: int
    cpu: float
    idle: float = 300.0
    wall: float = 1500.0
    file: int = 4 * 1024**3
    disk: int = 8 * 1024**3


@dataclass(frozen=True, slots=True)
class Measurement:
    """A process at a moment: `at` in seconds of a monotonic clock, memory in bytes, processor time in seconds.

    `is_waiting` tells that all of its threads sleep: none runs, waits for a processor or a disk, or is stopped.
    `has_memory_limit` tells that the kernel enforces the memory limit. `disk` is the size of its directory in bytes.
    """

    at: float
    resident: int
    cpu: float
    threads: int
    is_waiting: bool
    has_memory_limit: bool
    disk: int = 0
    reported_bytes: int = 0


class Watch:
    """The limits of one process, and how long it has been idle."""

    def __init__(self, limits: Limits, max_reported_bytes: int, now: float) -> None:
        self._limits, self._max_reported_bytes = limits, max_reported_bytes
        self._started_at = self._measured_at = now
        self._cpu = 0.0
        self._reported_bytes = 0
        self._idle = 0.0

    def stop_reason(self, now: Measurement) -> Death | None:
        """Why the process must be stopped; None if it may go on."""
        self._count_idle(now)
        limits, seconds = self._limits, now.at - self._started_at
        if not now.has_memory_limit and now.resident > limits.memory:
            return Death(
                Cause.OUT_OF_MEMORY,
                "It was stopped because its resident set exceeded the memory limit.",
                "was stopped over its memory limit",
            )
        if now.cpu >= limits.cpu:
            return time_limit_death(limits.cpu, seconds)
        if self._idle >= limits.idle:
            idle = f"it neither computed nor made progress for {limits.idle:g} s"
            return Death(Cause.HUNG, f"The process was stopped because {idle}.", f"was stopped because {idle},")
        if seconds >= limits.wall:
            starved = f"{seconds:.0f} s, in which the host gave it {now.cpu:.0f} s of processor time"
            return Death(Cause.STARVED, f"The process was stopped after {starved}.", f"was stopped after {starved},")
        return self._quota_exceeded(now)

    def _quota_exceeded(self, now: Measurement) -> Death | None:
        if now.disk > self._limits.disk:
            what = f"wrote more than {format_bytes(self._limits.disk)} to disk"
        elif now.threads > MAX_THREADS:
            what = f"started more than {MAX_THREADS} threads"
        elif now.reported_bytes > self._max_reported_bytes:
            what = f"reported more than {format_bytes(self._max_reported_bytes)} of progress"
        else:
            return None
        return Death(Cause.QUOTA, f"The process was stopped because it {what}.", f"was stopped because it {what},")

    def _count_idle(self, now: Measurement) -> None:
        """Add the time since the last measurement, as far as this supervisor was running as well."""
        is_idle = now.is_waiting and now.cpu <= self._cpu and now.reported_bytes == self._reported_bytes
        passed = min(now.at - self._measured_at, 2 * INTERVAL)
        self._idle = self._idle + passed if is_idle else 0.0
        self._measured_at, self._cpu, self._reported_bytes = now.at, now.cpu, now.reported_bytes


def time_limit_death(limit: float, seconds: float) -> Death:
    """The death of a process that used `limit` seconds of processor time within `seconds`."""
    used = f"its time limit of {limit:g} s of processor time, after {seconds:.0f} s"
    return Death(Cause.TIME_LIMIT, f"The process reached {used}.", f"was stopped at {used},")
