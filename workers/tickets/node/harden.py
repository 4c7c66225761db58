"""A process that holds keys leaves no trace of its memory (prctl(2), core(5))."""

import ctypes
import os
import resource

_PR_SET_DUMPABLE = 4


def harden_process() -> None:
    """Files for the owner only, no core, nobody looks inside. A core that is piped to a program heeds no limit, so the
    kernel is told as well. Against swap: MemorySwapMax=0 in the unit.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
