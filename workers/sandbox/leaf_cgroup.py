"""A memory cgroup for one child, where this process may create one (as root, or in a delegated subtree)."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

from workers.sandbox.cgroup import ROOT

# Seconds. The kernel may need a moment to remove a killed process from its cgroup.
REMOVE_TIMEOUT = 1.0

# The cgroup of the processes that supervise the leaves beside it.
SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class Cgroup:
    """A cgroup with a memory limit. `events_file` is the name of the file that counts OOM kills."""

    path: Path
    events_file: str

    def add(self, pid: int) -> bool:
        """Add a process: the memory it touches from now on counts against the limit. False if that is not permitted."""
        try:
            (self.path / "cgroup.procs").write_text(str(pid))
        except OSError:
            return False
        return True

    def open_procs(self) -> int:
        """A descriptor by which a process can add itself: it writes "0". Raises OSError."""
        return os.open(self.path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

    def events(self) -> dict[str, int]:
        """The counters of this cgroup: `oom_kill` is how many of its processes the OOM killer has ended."""
        lines = (self.path / self.events_file).read_text().splitlines()
        return {name: int(count) for name, _, count in (line.partition(" ") for line in lines)}

    def oom_kills(self) -> int:
        """How many processes of this cgroup the OOM killer has ended."""
        return self.events().get("oom_kill", 0)

    def remove(self) -> None:
        """Remove the cgroup once its processes are gone."""
        deadline = time.monotonic() + REMOVE_TIMEOUT
        while True:
            try:
                self.path.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return


@contextmanager
def leaf_cgroup(limit: int, *, proc: Path = Path("/proc/self/cgroup"), root: Path = ROOT) -> Iterator[Cgroup | None]:
    """A cgroup limited to `limit` bytes for the duration of the block; None if none can be created."""
    cgroup = _create(limit, proc, root)
    try:
        yield cgroup
    finally:
        if cgroup is not None:
            cgroup.remove()


def _create(limit: int, proc: Path, root: Path) -> Cgroup | None:
    for parent, limits, events in _candidate_parents(proc, root):
        path = parent / f"bulkhead-{os.getpid()}-{secrets.token_hex(4)}"
        with suppress(OSError):
            path.mkdir()
            try:
                _set_limit(path, limits, limit)
            except OSError:
                path.rmdir()
                continue
            return Cgroup(path, events)
    return None


def _set_limit(path: Path, names: tuple[str, str], limit: int) -> None:
    memory, swap = names
    with (path / memory).open("r+") as file:
        file.write(str(limit))
    with suppress(OSError), (path / swap).open("r+") as file:  # swap accounting may be disabled
        file.write("0" if memory == "memory.max" else str(limit))  # version 1 limits memory and swap together


def _candidate_parents(proc: Path, root: Path) -> Iterator[tuple[Path, tuple[str, str], str]]:
    """Where a cgroup may be created, with the names of its files: below our own cgroup, else beside it.

    Version 2 gives controllers only to children of a cgroup that contains no process itself, hence "beside".
    """
    for line in proc.read_text().splitlines():
        _number, controllers, name = line.split(":", 2)
        own = PurePath(name.lstrip("/"))
        if "memory" in controllers.split(","):
            yield root / "memory" / own, ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), "memory.oom_control"
        elif not controllers:
            for parent in dict.fromkeys((own, own.parent)):
                yield root / parent, ("memory.max", "memory.swap.max"), "memory.events"


def delegate_cgroup(*, proc: Path = Path("/proc/self/cgroup"), root: Path = ROOT) -> bool:
    """Prepare a delegated cgroup of version 2 for leaves. Returns whether leaves can be created in it.

    Version 2 gives controllers only to children of a cgroup that contains no process itself, so the processes of this
    one move to its child `supervisor`. systemd marks delegated cgroups by an attribute (systemd.resource-control(5)).
    """
    for line in proc.read_text().splitlines():
        _number, controllers, name = line.split(":", 2)
        own = root / name.lstrip("/")
        if controllers or not _is_delegated(own):
            continue
        supervisor = own / SUPERVISOR
        try:
            supervisor.mkdir(exist_ok=True)
            for pid in (own / "cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):
                    (supervisor / "cgroup.procs").write_text(pid)
            (own / "cgroup.subtree_control").write_text("+memory")
        except OSError:
            return False
        return True
    return False


def _is_delegated(cgroup: Path) -> bool:
    try:
        return os.getxattr(cgroup, "user.delegate") == b"1"
    except OSError:
        return False
