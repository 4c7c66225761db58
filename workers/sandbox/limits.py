"""Limits that a render process sets for itself."""

import os
import resource
from contextlib import suppress
from pathlib import Path

from tasks.utils.parent_death import die_with_parent

# The OOM killer chooses the child before its parent or its neighbours (proc(5), oom_score_adj: -1000 to 1000).
OOM_SCORE_ADJ = 800

# File descriptors. A render needs a few dozen; a descriptor leak must end its own process only.
MAX_DESCRIPTORS = 1024


def apply_limits(*, niceness: int) -> None:
    """Limit this process: no core dump, few descriptors, first choice of the OOM killer, killed with its parent."""
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_DESCRIPTORS, MAX_DESCRIPTORS))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE_ADJ))
    _lower_priority(niceness)


def _lower_priority(niceness: int) -> None:
    """Give other processes priority on the CPU.

    With autogroup scheduling (sched(7)) niceness has an effect within a session only. A supervisor starts each worker
    in a new session, so the niceness is set on that session as well. A session that does not belong to the worker,
    such as the user's shell, is left unchanged.
    """
    if niceness > os.nice(0):
        os.nice(niceness - os.nice(0))
    if niceness > 0 and os.getsid(0) in (os.getpid(), os.getppid()):
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(niceness))
