"""Gives up privileges: every capability, and the possibility to gain new ones.

The process stays dumpable. A process that is not dumpable belongs to root in /proc, so that its parent, a normal user,
could neither adjust its OOM score nor read its limits. Core dumps are disabled by RLIMIT_CORE, and Landlock
keeps other confined processes from tracing it.
"""

import errno
import struct

from tasks.utils.system_calls import capset, prctl

_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4

_CAPABILITY_VERSION_3 = 0x20080522
_THIS_THREAD = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
_NO_CAPABILITIES = struct.pack("=6I", *[0] * 6)


def forbid_new_privileges() -> None:
    """Have the kernel ignore set-user-ID bits and file capabilities from now on. Raises OSError."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Drop all capabilities of this thread. Raises OSError."""
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    capset(_THIS_THREAD, _NO_CAPABILITIES)


def empty_bounding_set() -> None:
    """Empty the set of capabilities that a program of root's can gain, before `drop_capabilities`. Raises OSError.

    Not permitted without CAP_SETPCAP, and not needed: a process that forbids new privileges gains none.
    """
    capability = 0
    while True:
        try:
            prctl(_PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.EPERM):  # beyond the last capability; not permitted
                return
            raise
        capability += 1
