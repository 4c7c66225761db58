"""Keeps the memory of a process that holds keys private (prctl(2), core(5))."""

import ctypes
import os
import resource

_PR_SET_DUMPABLE = 4


def harden_process() -> None:
    """Create files for the owner only, write no core dumps, and refuse debuggers.

    A core that is piped to a program ignores the limit, so the kernel is told as well. The unit prevents swapping with
    MemorySwapMax=0.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
