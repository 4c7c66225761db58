"""Limits that a rendering child puts upon itself, whoever started it."""

import os
import resource
from contextlib import suppress
from pathlib import Path

from tasks.utils.parent_death import die_with_parent

# The kernel shall take the child first, never its parent or a neighbour (proc(5), oom_score_adj: -1000 to 1000).
OOM_SCORE_ADJ = 800

# Descriptors. A render needs a few dozen; a leak of them must end its own child only.
MAX_DESCRIPTORS = 1024


def apply_limits(*, niceness: int) -> None:
    """Put this process inside its limits: no core dump, few descriptors, first to be killed, gone with its parent."""
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_DESCRIPTORS, MAX_DESCRIPTORS))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE_ADJ))
    _lower_priority(niceness)


def _lower_priority(niceness: int) -> None:
    """Let others have the processor first.

    Where the kernel shares it out by session, niceness counts within a session only (sched(7), autogroup). A supervisor
    starts each worker in a session of its own: that one gets the niceness, too. A session that is not the worker's own,
    such as the user's shell, is left alone.
    """
    if niceness > os.nice(0):
        os.nice(niceness - os.nice(0))
    if niceness > 0 and os.getsid(0) in (os.getpid(), os.getppid()):
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(niceness))
