"""Who holds a job: a name for a worker child that tells, on its own host, whether the child is still alive."""

import os
import socket
from functools import cache
from pathlib import Path

PROC = Path("/proc")


@cache
def host_id() -> str:
    """This boot of this host: pids mean nothing across a reboot or between containers."""
    name = (PROC / "sys/kernel/random/boot_id").read_text().strip()[:8]
    namespace = (PROC / "self/ns/pid").readlink().name.strip("pid:[]")
    return f"{socket.gethostname()}-{name}-{namespace}"


def current_owner() -> str:
    """`host:pid:start`, where start is the kernel's clock ticks: a reused pid makes another name."""
    return f"{host_id()}:{os.getpid()}:{start_time(os.getpid())}"


def is_gone(owner: str) -> bool:
    """Whether the child is known to have ended. Of another host's children nothing is known: False."""
    host, _, rest = owner.rpartition(":")[0].rpartition(":")
    if host != host_id() or not rest.isdecimal():
        return False
    return str(start_time(int(rest))) != owner.rpartition(":")[2] and not _is_hidden_from_proc(int(rest))


def _is_hidden_from_proc(pid: int) -> bool:
    """Whether there is such a process that /proc keeps from us (proc(5), hidepid): a hardened unit's neighbour."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not os.access(PROC / str(pid) / "stat", os.R_OK)


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if there is none, or it is a zombie."""
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # proc(5): the second field is the name in parentheses and may contain anything.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in ("Z", "X") else int(fields[18])
