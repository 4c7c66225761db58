"""System calls that Python has no function for, through the C library."""

import ctypes
import os

PR_SET_NAME = 15
PR_SET_VMA = 0x53564D41  # names a mapping

# Options of prctl(2) that read: death signal, dumpable, capabilities, timing, name, seccomp, bounding set, timer slack,
# no_new_privs, thread id address, huge pages.
PR_GET_OPTIONS = (2, 3, 7, 13, 16, 21, 23, 30, 39, 40, 42)

_libc = ctypes.CDLL(None, use_errno=True)
# A pointer argument takes a structure as bytes, and an integer as it is.
_libc.syscall.argtypes = [ctypes.c_long, *[ctypes.c_void_p] * 5]
_libc.syscall.restype = ctypes.c_long
_libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 4]


def syscall(number: int, *arguments: int | bytes) -> int:
    """Make the system call `number` with up to five integers or structures. Raises OSError."""
    result: int = _libc.syscall(number, *arguments, *[0] * (5 - len(arguments)))
    if result == -1:
        raise_errno(f"system call {number} failed")
    return result


def prctl(option: int, *arguments: int | bytes) -> int:
    """Change or read an attribute of this process (prctl(2)). Raises OSError."""
    result: int = _libc.prctl(option, *arguments, *[0] * (4 - len(arguments)))
    if result == -1:
        raise_errno(f"prctl({option}) failed")
    return result


def capset(header: bytes, data: bytes) -> None:
    """Set the capabilities of this thread (capset(2)) from the two structures. Raises OSError."""
    if _libc.capset(header, data):
        raise_errno("capset failed")


def raise_errno(what: str) -> None:
    """Raise the OSError of the last call that failed."""
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")
