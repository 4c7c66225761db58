"""Seccomp: restricts the system calls of a process (seccomp(2)).

`build(Profile.RENDER)` compiles a filter with libseccomp, once, in a process that is not confined. `load` hands it to
the kernel in a child. Loaded filters are for ever, and a call must pass all of them.
"""

import ctypes
import os
import platform
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from errno import EFAULT, ENOSYS, EOPNOTSUPP, EPERM
from functools import cache

from tasks.utils.system_calls import prctl
from workers.sandbox.causes import STOP_SIGNALS
from workers.sandbox.confinement import calls
from workers.sandbox.confinement.calls import Alternative, Comparison
from workers.sandbox.errors import SandboxUnavailable


class Profile(StrEnum):
    """Which calls are allowed: those of a render, or those of a helper program as well."""

    RENDER = "render"
    PROGRAM = "program"


_LIBRARY = "libseccomp.so.2"

# seccomp.h
_ALLOW, _KILL_PROCESS = 0x7FFF0000, 0x80000000
_ERRNO = 0x00050000
_BAD_ARCHITECTURE_ACTION, _OPTIMIZATION = 2, 8
_BINARY_TREE = 2

# prctl.h and linux/seccomp.h
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2

# linux/audit.h, and the numbers of kill and tgkill
_ARCHITECTURES = {"x86_64": (0xC000003E, 62, 234), "aarch64": (0xC00000B7, 129, 131)}

# linux/bpf_common.h: load a word of the call, jump, jump if equal, return. Offsets are those of struct seccomp_data.
_LOAD, _JUMP, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x05, 0x15, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _SECOND_ARGUMENT, _THIRD_ARGUMENT = 0, 4, 16, 24, 32
_INSTRUCTION = struct.Struct("=HBBI")
_ALLOW_ALL = _INSTRUCTION.pack(_RETURN, 0, 0, _ALLOW)


class _Condition(ctypes.Structure):
    _fields_ = (
        ("index", ctypes.c_uint),
        ("comparison", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def build(profile: Profile) -> bytes:
    """Compile the filter of a profile. Takes some milliseconds.

    Other architectures than the one of this process, such as 32-bit calls and x32, are killed.
    Raises SandboxUnavailable without libseccomp, or on other machines than x86_64 and aarch64.
    """
    _architecture()
    if profile is Profile.RENDER:
        allowed, denied, conditional = calls.ALLOWED, calls.DENIED | calls.RENDER_DENIED, calls.RENDER
    else:
        allowed, denied, conditional = calls.ALLOWED | calls.PROGRAM_ALLOWED, calls.DENIED, calls.PROGRAM
    with _filter() as context:
        for name in sorted(allowed):
            _add_rule(context, _ALLOW, name)
        for name in sorted(denied):
            _add_rule(context, _ERRNO | EPERM, name)
        for name in calls.UNSUPPORTED:
            _add_rule(context, _ERRNO | EOPNOTSUPP, name)
        _add_conditional(context, conditional)
        return _export(context)


def signal_filter(pid: int, rest: bytes = b"") -> bytes:
    """Compile a filter that allows `kill` and `tgkill` for the process `pid` alone, without STOP_SIGNALS.

    It ends in `rest`, the filter of a profile, or allows all other calls: one load is faster than two. Takes
    microseconds. Raises SandboxUnavailable on other machines than x86_64 and aarch64.
    """
    architecture, kill, tgkill = _architecture()
    stops = sorted(STOP_SIGNALS)
    # The low 32 bits of the arguments, which the kernel uses as well. Jumps are relative to the next instruction.
    instructions = (
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_IF_EQUAL, 0, 9 + len(stops), architecture),  # the profile kills others
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_IF_EQUAL, 1, 0, kill),
        (_JUMP_IF_EQUAL, 2, 6 + len(stops), tgkill),
        (_LOAD, 0, 0, _SECOND_ARGUMENT),
        (_JUMP, 0, 0, 1),
        (_LOAD, 0, 0, _THIRD_ARGUMENT),
        *((_JUMP_IF_EQUAL, len(stops) - index + 1, 0, number) for index, number in enumerate(stops)),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_IF_EQUAL, 1, 0, pid),
        (_RETURN, 0, 0, _ERRNO | EPERM),
    )
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in instructions) + (rest or _ALLOW_ALL)


def missing() -> str | None:
    """The sentence that says why this system cannot filter calls, or None."""
    try:
        build(Profile.RENDER)
        prctl(_PR_SET_SECCOMP, _MODE_FILTER, 0)  # fails with EFAULT if the kernel would take a filter
    except SandboxUnavailable as error:
        return error.message
    except OSError as error:
        if error.errno != EFAULT:
            return f"Filters of system calls are missing ({error}). Use a kernel with CONFIG_SECCOMP_FILTER."
    return None


def load(program: bytes) -> None:
    """Filter the calls of this thread and its future children. `no_new_privs` must be set. Raises OSError."""
    instructions = ctypes.c_char_p(program)
    address = ctypes.cast(instructions, ctypes.c_void_p).value
    prctl(_PR_SET_SECCOMP, _MODE_FILTER, struct.pack("@HP", len(program) // _INSTRUCTION.size, address))


def _architecture() -> tuple[int, int, int]:
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        supported = " and ".join(_ARCHITECTURES)
        raise SandboxUnavailable(f"The sandbox does not know the system calls of {machine}. Use {supported}.")
    return _ARCHITECTURES[machine]


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY, use_errno=True)
    except OSError as error:
        raise SandboxUnavailable(f"{_LIBRARY} is missing. Install libseccomp2 (Debian) and try again.") from error
    pointer, word = ctypes.c_void_p, ctypes.c_uint32
    library.seccomp_init.argtypes, library.seccomp_init.restype = [word], pointer
    library.seccomp_release.argtypes, library.seccomp_release.restype = [pointer], None
    library.seccomp_attr_set.argtypes = [pointer, ctypes.c_int, word]
    library.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    library.seccomp_rule_add_array.argtypes = [
        pointer,
        word,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Condition),
    ]
    library.seccomp_export_bpf.argtypes = [pointer, ctypes.c_int]
    return library


@contextmanager
def _filter() -> Iterator[int]:
    library = _library()
    context = library.seccomp_init(_ERRNO | ENOSYS)
    try:
        _check(library.seccomp_attr_set(context, _BAD_ARCHITECTURE_ACTION, _KILL_PROCESS))
        library.seccomp_attr_set(context, _OPTIMIZATION, _BINARY_TREE)  # speed alone; libseccomp 2.4 has none
        yield context
    finally:
        library.seccomp_release(context)


def _add_rule(context: int, action: int, name: str, alternative: Alternative = ()) -> None:
    number = _library().seccomp_syscall_resolve_name(name.encode())
    if number < 0:
        return  # this architecture, or this version of libseccomp, does not know the call: ENOSYS
    conditions = (_Condition * len(alternative))()
    for condition, argument in zip(conditions, alternative, strict=True):
        condition.index, condition.comparison = argument.index, argument.comparison.value
        is_masked = argument.comparison is Comparison.MASKED_EQUAL
        condition.first = argument.mask if is_masked else argument.value
        condition.second = argument.value if is_masked else 0
    _check(_library().seccomp_rule_add_array(context, action, number, len(conditions), conditions))


def _add_conditional(context: int, conditional: Mapping[str, tuple[Alternative, ...]]) -> None:
    for name, alternatives in conditional.items():
        for alternative in alternatives:
            _add_rule(context, _ALLOW, name, alternative)


def _export(context: int) -> bytes:
    with os.fdopen(os.memfd_create("filter"), "rb") as file:
        _check(_library().seccomp_export_bpf(context, file.fileno()))
        file.seek(0)
        return file.read()


def _check(result: int) -> None:
    if result < 0:
        raise OSError(-result, f"libseccomp: {os.strerror(-result)}")
