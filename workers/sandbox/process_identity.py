"""Identity of processes, by which others on the same host can tell whether a process still runs."""

import os
import socket
from functools import cache
from pathlib import Path

PROC = Path("/proc")


@cache
def host_id() -> str:
    """Host, boot and pid namespace: process ids have no meaning across reboots or between containers."""
    boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()[:8]
    namespace = (PROC / "self/ns/pid").readlink().name.strip("pid:[]")
    return f"{socket.gethostname()}-{boot}-{namespace}"


def current_owner() -> str:
    """The name of this process, `host:pid:start`: the start in clock ticks distinguishes processes with one pid."""
    return f"{host_id()}:{os.getpid()}:{start_time(os.getpid())}"


def is_gone(owner: str) -> bool:
    """Whether the process is known to have ended. False for processes of other hosts, which cannot be checked."""
    host_and_pid, _, start = owner.rpartition(":")
    host, _, pid = host_and_pid.rpartition(":")
    if host != host_id() or not pid.isdecimal():
        return False
    return str(start_time(int(pid))) != start and not _is_hidden_from_proc(int(pid))


def _is_hidden_from_proc(pid: int) -> bool:
    """Whether the process exists but /proc hides it (proc(5), hidepid), as for neighbours of a hardened unit."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not os.access(PROC / str(pid) / "stat", os.R_OK)


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if it does not exist or is a zombie."""
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # proc(5): the second field is the name in parentheses, which may contain any character.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in ("Z", "X") else int(fields[18])
