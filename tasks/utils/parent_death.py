"""Processes that end together with their parent (prctl(2), PR_SET_PDEATHSIG)."""

import signal

from tasks.utils.system_calls import prctl

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends. Raises OSError.

    Makes a single system call, so a child may call it between fork and exec.
    """
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
