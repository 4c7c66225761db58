"""Processes that end together with their parent (prctl(2), PR_SET_PDEATHSIG)."""

import ctypes
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends. Raises OSError."""
    parent_death_setter()()


def parent_death_setter() -> Callable[[], None]:
    """A function that does the same. It makes a single system call, so a child may call it between fork and exec."""
    libc = ctypes.CDLL(None, use_errno=True)

    def set_parent_death_signal() -> None:
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL):
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")

    return set_parent_death_signal
