"""Landlock: restricts the files, TCP ports and signals of a process, without privileges (landlock(7)).

A rule grants rights on one file or on everything beneath one directory. All other rights that the kernel knows are
denied, for this process and its children, for ever. Landlock restricts neither `stat` nor `chdir`: names and sizes of
files that can be guessed stay visible.
"""

import os
import struct
from collections.abc import Iterable
from enum import IntFlag
from functools import cache, reduce
from operator import or_

from tasks.utils.system_calls import syscall
from workers.sandbox.errors import SandboxUnavailable

# These numbers are the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_GET_ABI_VERSION = 1
_RULE_PATH_BENEATH = 1

# Network: bind and connect of TCP (ABI 4). Scopes: abstract UNIX sockets and signals (ABI 6).
_NETWORK = 0b11
_SCOPES = 0b11


class Access(IntFlag):
    """Rights on files, with the values of linux/landlock.h."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


class Kind(IntFlag):
    """What a rule grants.

    READ, EXECUTE and WRITE are for directories: to read files and list directories; to run files as well; to make,
    change, rename and remove files and directories, but no links, sockets, pipes and devices. READ_FILE and WRITE_FILE
    are for a single file, because the kernel rejects rights on directories there.
    """

    READ_FILE = Access.READ_FILE
    WRITE_FILE = Access.READ_FILE | Access.WRITE_FILE | Access.TRUNCATE
    READ = Access.READ_FILE | Access.READ_DIR
    EXECUTE = READ | Access.EXECUTE
    WRITE = (
        READ | WRITE_FILE | Access.REMOVE_DIR | Access.REMOVE_FILE | Access.MAKE_DIR | Access.MAKE_REG | Access.REFER
    )


# A descriptor of a file or directory, opened with O_PATH or otherwise, and what is granted on it.
Rule = tuple[int, Kind]

MISSING = (
    "Landlock is missing. Use Linux 5.13 or newer with `landlock` in the boot parameter lsm=, and a container engine "
    "that permits it."
)

_ALL_OF_ABI_1 = (1 << 13) - 1
_ADDED_BY_ABI = {2: Access.REFER, 3: Access.TRUNCATE, 5: Access.IOCTL_DEV}


@cache
def abi() -> int:
    """Version of Landlock in the running kernel: 2 in Debian 12, 6 in Debian 13; 0 if it is missing or disabled."""
    try:
        return syscall(_CREATE_RULESET, 0, 0, _GET_ABI_VERSION)
    except OSError:
        return 0


_kernel_abi = abi


def restrict(rules: Iterable[Rule], *, abi: int) -> None:
    """Restrict this thread and its future children to `rules`.

    `no_new_privs` must be set. Handles what Landlock version `abi` knows, or the kernel's version if that is older.
    Raises SandboxUnavailable if the kernel has no Landlock, OSError if it rejects a rule.
    """
    version = min(abi, _kernel_abi())
    if version < 1:
        raise SandboxUnavailable(MISSING)
    handled = _handled_access(version)
    ruleset = _create_ruleset(version, handled)
    try:
        for descriptor, kind in rules:
            rule = struct.pack("=Qi", int(kind) & handled, descriptor)
            syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
        syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _handled_access(version: int) -> int:
    return reduce(or_, (access for since, access in _ADDED_BY_ABI.items() if since <= version), _ALL_OF_ABI_1)


def _create_ruleset(version: int, handled: int) -> int:
    attributes = struct.pack("=Q", handled)
    if version >= 4:
        attributes += struct.pack("=Q", _NETWORK)
    if version >= 6:
        attributes += struct.pack("=Q", _SCOPES)
    return syscall(_CREATE_RULESET, attributes, len(attributes), 0)
