"""Other processes: their memory, environment and descriptors, signals, tracing, and processes of one's own."""

import fcntl
import hashlib
import os
import re
import resource
import signal
from collections.abc import Iterator
from ctypes import string_at
from functools import partial
from pathlib import Path

from workers.sandbox.attacks.attack import (
    Attempt,
    NotApplicable,
    Scene,
    call,
    denied,
    fatal,
    listing,
    opening,
    system_call,
)

_PTRACE_ATTACH, _PTRACE_SEIZE = 16, 0x4206
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


def _parent(entry: str, _scene: Scene) -> None:
    opening(f"/proc/{os.getppid()}/{entry}")


def _parent_link(entry: str, _scene: Scene) -> None:
    try:
        os.readlink(f"/proc/{os.getppid()}/{entry}")  # noqa: PTH115 - the text of the link
    except FileNotFoundError as error:  # ProtectProc=invisible
        raise NotApplicable(entry) from error


def _own_environment(scene: Scene) -> None:
    """Search the environment, as Python and the C library see it, for the secret of the trusted process."""
    if not any(_has_canary(value.encode(errors="surrogateescape"), scene) for value in os.environ.values()):
        raise PermissionError(1, "no secret")


def _own_memory(scene: Scene) -> None:
    """Search all readable memory of this process for the secret of the trusted process."""
    if not any(_has_canary(block, scene) for block in _readable_memory()):
        raise PermissionError(1, "no secret")


def _readable_memory() -> Iterator[bytes]:
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, mode, *_rest, name = f"{line} ".split(" ", 5)
        start, end = (int(address, 16) for address in addresses.split("-"))
        name = name.strip()
        # Files hold no secret of a process; special mappings of the kernel may not be readable.
        if mode.startswith("rw") and (not name or name in ("[heap]", "[stack]")) and end - start < 2**28:
            yield string_at(start, end - start)


def _has_canary(content: bytes, scene: Scene) -> bool:
    """Whether the secret is in `content`. Only its digest is known here, or the search would find itself."""
    pattern = re.escape(scene.canary.encode()) + rb"([0-9a-f]{32})"
    return any(hashlib.sha256(match[1]).hexdigest() == scene.canary_digest for match in re.finditer(pattern, content))


def _fork(_scene: Scene) -> None:
    if os.fork() == 0:
        os._exit(0)


def _signals_by_fcntl(_scene: Scene) -> None:
    """Have the kernel send a signal to the parent when a pipe becomes readable."""
    reader, _writer = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETOWN, os.getppid())


def _own_memory_file(_scene: Scene) -> None:
    opening("/proc/self/mem", os.O_RDWR)


_PARENT_ENTRIES: dict[str, tuple[str, str, Attempt]] = {
    f"{entry} of the parent": ("EACCES EPERM", f"Opens /proc/PARENT/{entry}.", partial(_parent, entry))
    for entry in ("mem", "environ", "maps", "cmdline", "status", "stack", "auxv")
}
_PARENT_LINKS: dict[str, tuple[str, str, Attempt]] = {
    f"{entry} of the parent": ("EACCES EPERM", f"Follows /proc/PARENT/{entry}.", partial(_parent_link, entry))
    for entry in ("cwd", "root", "exe")
}

PROC = denied(
    "landlock",
    {
        **_PARENT_ENTRIES,
        **_PARENT_LINKS,
        "descriptors of the parent": (
            "EACCES",
            "Lists /proc/PARENT/fd.",
            lambda _s: listing(f"/proc/{os.getppid()}/fd"),
        ),
        "environment of process 1": ("EACCES", "Opens /proc/1/environ.", lambda _s: opening("/proc/1/environ")),
        "list processes": ("EACCES", "Lists /proc.", lambda _s: listing("/proc")),
        "sockets of the machine": ("EACCES", "Opens /proc/self/net/unix.", lambda _s: opening("/proc/self/net/unix")),
        "mounts of the machine": ("EACCES", "Opens /proc/self/mountinfo.", lambda _s: opening("/proc/self/mountinfo")),
        "own environment in /proc": ("EACCES", "Opens /proc/self/environ.", lambda _s: opening("/proc/self/environ")),
        "own memory in /proc": ("EACCES", "Opens /proc/self/mem, past the protection of pages.", _own_memory_file),
        "own OOM score": (
            "EACCES",
            "Makes itself the last choice of the OOM killer.",
            lambda _s: opening("/proc/self/oom_score_adj", os.O_WRONLY),
        ),
        "kernel's log": ("EACCES", "Opens /dev/kmsg.", lambda _s: opening("/dev/kmsg")),
        "kernel's memory": ("EACCES", "Opens /dev/mem.", lambda _s: opening("/dev/mem")),
    },
)

SECRETS = denied(
    "empty environment",
    {
        "own environment": ("EPERM", "Searches its environment for a secret of the worker.", _own_environment),
        "own memory": ("EPERM", "Searches all of its memory for a secret of the worker.", _own_memory),
    },
)

CAPABILITIES = denied(
    "capabilities",
    {
        "file without permission": (
            "EACCES",
            "Opens a file that only root's capabilities open.",
            lambda scene: opening(scene.work / "closed"),
        )
    },
)

SIGNALS = denied(
    "signals",
    {
        "signal to the parent": ("EPERM", "Signals its parent.", lambda _s: os.kill(os.getppid(), 0)),
        "signal to process 1": ("EPERM", "Signals the first process.", lambda _s: os.kill(1, 0)),
        "signal to the group": ("EPERM", "Signals its process group.", lambda _s: os.kill(0, 0)),
        "signal to all": ("EPERM", "Signals all processes of its user.", lambda _s: os.kill(-1, 0)),
        "signal to a thread": (
            "EPERM",
            "Signals a thread of its parent.",
            lambda _s: call("tgkill", os.getppid(), os.getppid(), 0),
        ),
    },
)

FORGED_DEATHS = fatal(
    "signals",
    {
        "stop": (
            "EPERM",
            "Stops itself, so that its host seems to be slow and its job is repeated.",
            lambda _s: os.kill(os.getpid(), signal.SIGSTOP),
        ),
        "death that looks like a kill": (
            "EPERM",
            "Kills itself, so that its job seems to be killed from outside and is repeated.",
            lambda _s: os.kill(os.getpid(), signal.SIGKILL),
        ),
        "death that looks like a stop": (
            "EPERM",
            "Ends itself like a worker that is stopped.",
            lambda _s: os.kill(os.getpid(), signal.SIGTERM),
        ),
    },
)

TRACING = denied(
    "seccomp",
    {
        "ptrace": ("EPERM", "Traces its parent.", lambda _s: call("ptrace", _PTRACE_ATTACH, os.getppid(), 0, 0)),
        "ptrace seize": ("EPERM", "Traces its parent.", lambda _s: call("ptrace", _PTRACE_SEIZE, os.getppid(), 0, 0)),
        "process_vm_readv": (
            "EPERM",
            "Reads memory of its parent.",
            lambda _s: call("process_vm_readv", os.getppid(), 0, 0, 0, 0, 0),
        ),
        "process_vm_writev": (
            "EPERM",
            "Writes memory of its parent.",
            lambda _s: call("process_vm_writev", os.getppid(), 0, 0, 0, 0, 0),
        ),
        "pidfd of the parent": ("EPERM", "Opens its parent.", lambda _s: call("pidfd_open", os.getppid(), 0)),
        "pidfd_getfd": ("EPERM", "Takes a descriptor of another process.", system_call("pidfd_getfd", 0, 0, 0)),
        "pidfd_send_signal": ("EPERM", "Signals by a descriptor.", system_call("pidfd_send_signal", 0, 0, 0, 0)),
        "kcmp": ("EPERM", "Compares the memory of two processes.", lambda _s: call("kcmp", os.getppid(), 1, 0, 0, 0)),
        "tkill": ("EPERM", "Signals a thread.", lambda _s: call("tkill", os.getppid(), 0)),
        "sigqueue": ("EPERM", "Queues a signal.", lambda _s: call("rt_sigqueueinfo", os.getppid(), 0, 0)),
        "signals by fcntl": ("ENOSYS", "Has the kernel signal its parent.", _signals_by_fcntl),
        "process_madvise": ("EPERM", "Discards memory of others.", system_call("process_madvise", 0, 0, 0, 0, 0)),
        "move pages": ("EPERM", "Moves memory of others.", lambda _s: call("move_pages", os.getppid(), 0, 0, 0, 0, 0)),
        "outlive the parent": ("ENOSYS", "Survives its parent.", system_call("prctl", _PR_SET_PDEATHSIG, 0)),
        "become dumpable": ("ENOSYS", "Changes who may trace it.", system_call("prctl", _PR_SET_DUMPABLE, 0)),
        "limits of the parent": (
            "ENOSYS",
            "Reads limits of its parent.",
            lambda _s: resource.prlimit(os.getppid(), resource.RLIMIT_CORE),
        ),
    },
)

# Allowed to helper programs.
EXECUTION = denied(
    "seccomp",
    {
        "fork": ("ENOSYS", "Starts a process.", _fork),
        "run a program": ("EPERM", "Runs a program.", lambda _s: os.execv("/bin/true", ["true"])),  # noqa: S606
        "run a descriptor": ("EPERM", "Runs a descriptor.", system_call("execveat", -1, 0, 0, 0, 0x1000)),
    },
)


def _run_own_program(scene: Scene) -> None:
    """Run a program that this process wrote itself."""
    path = scene.work / "program"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o755)
    os.write(descriptor, b"#!/bin/true\n")
    os.close(descriptor)
    if not path.exists():
        raise NotApplicable(str(path))
    os.execv(path, ["program"])  # noqa: S606


# Of a helper program, in place of EXECUTION.
PROGRAMS = denied("landlock", {"run its own file": ("EACCES", "Runs a file that it wrote.", _run_own_program)})
