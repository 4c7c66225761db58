"""A process that ends when the one that started it does, however that ends (prctl(2), PR_SET_PDEATHSIG)."""

import ctypes
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process as soon as the thread that started it has ended. Raises OSError."""
    parent_death_setter()()


def parent_death_setter() -> Callable[[], None]:
    """The same, to be called later: it is one call of the system, fit for a child between fork and exec."""
    libc = ctypes.CDLL(None, use_errno=True)

    def tie() -> None:
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL):
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")

    return tie
