"""`python -m tests.services.faults.without_landlock PROGRAM …`: runs a program as on a kernel without Landlock."""

import errno
import os
import struct
import sys

from workers.sandbox.confinement import seccomp
from workers.sandbox.confinement.privileges import forbid_new_privileges

# linux/bpf_common.h and linux/seccomp.h: load the number of the call, compare, return.
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ERRNO, _ALLOW = 0x00050000, 0x7FFF0000
_CREATE_RULESET = 444

_FILTER = (
    (_LOAD, 0, 0, 0),
    (_JUMP_IF_EQUAL, 0, 1, _CREATE_RULESET),
    (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    (_RETURN, 0, 0, _ALLOW),
)


def main(command: list[str]) -> None:
    """Become the program."""
    forbid_new_privileges()
    seccomp.load(b"".join(struct.pack("=HBBI", *instruction) for instruction in _FILTER))
    os.execv(command[0], command)  # noqa: S606 - a program of a test


if __name__ == "__main__":
    main(sys.argv[1:])
