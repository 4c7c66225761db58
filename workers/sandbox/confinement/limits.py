"""Limits that a render process sets for itself."""

import os
import resource
from contextlib import suppress
from dataclasses import dataclass

from tasks.utils.parent_death import die_with_parent

# The OOM killer chooses the child before its parent or its neighbours (proc(5), oom_score_adj: -1000 to 1000).
OOM_SCORE_ADJ = 800

# File descriptors. A render needs a few dozen; a descriptor leak must end its own process only.
MAX_DESCRIPTORS = 1024

# Bytes of memory that may be locked, which the kernel cannot reclaim.
MAX_LOCKED_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """Limits of a process: `file_size` of each file in bytes, `cpu_time` in seconds. None leaves a limit unchanged.

    A write beyond `file_size` fails with EFBIG, because Python ignores SIGXFSZ. After `cpu_time` the kernel sends
    SIGXCPU, and a second later SIGKILL.
    """

    niceness: int = 0
    descriptors: int | None = MAX_DESCRIPTORS
    file_size: int | None = None
    cpu_time: int | None = None

    def apply(self) -> None:
        """Limit this process. It is also the OOM killer's first choice, dumps no core and is killed with its parent.

        Raises OSError, and ValueError for a limit above the current one.
        """
        die_with_parent()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _set(resource.RLIMIT_NOFILE, self.descriptors)
        _set(resource.RLIMIT_FSIZE, self.file_size)
        _set(resource.RLIMIT_CPU, self.cpu_time, grace=1)
        _lower(resource.RLIMIT_MEMLOCK, MAX_LOCKED_BYTES)
        _lower(_RLIMIT_MSGQUEUE, 0)
        with suppress(OSError):
            _write("/proc/self/oom_score_adj", OOM_SCORE_ADJ)
        _lower_priority(self.niceness)


def apply_limits(*, niceness: int) -> None:
    """Limit this process: no core dump, few descriptors, first choice of the OOM killer, killed with its parent."""
    ProcessLimits(niceness=niceness).apply()


_RLIMIT_MSGQUEUE = 12  # bytes of POSIX message queues; Python has no name for it


def _set(limit: int, value: int | None, *, grace: int = 0) -> None:
    if value is not None:
        resource.setrlimit(limit, (value, value + grace))


def _lower(limit: int, value: int) -> None:
    """Set a limit, unless the current one is lower."""
    _soft, hard = resource.getrlimit(limit)
    if hard == resource.RLIM_INFINITY or hard > value:
        resource.setrlimit(limit, (value, value))


def _lower_priority(niceness: int) -> None:
    """Give other processes priority on the CPU.

    With autogroup scheduling (sched(7)) niceness has an effect within a session only. A supervisor starts each worker
    in a new session, so the niceness is set on that session as well. A session that does not belong to the worker,
    such as the user's shell, is left unchanged.
    """
    current = os.nice(0)
    if niceness > current:
        os.nice(niceness - current)
    if niceness > 0 and os.getsid(0) in (os.getpid(), os.getppid()):
        with suppress(OSError):
            _write("/proc/self/autogroup", niceness)


def _write(path: str, value: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, b"%d" % value)
    finally:
        os.close(descriptor)
