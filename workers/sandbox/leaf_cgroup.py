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

# Files with the limits of memory and of swap, in version 1 and in version 2.
_LIMITS_1 = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
_LIMITS_2 = ("memory.max", "memory.swap.max")

# The cgroup of the processes that supervise the leaves beside it.
SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class Cgroup:
    """A cgroup that can have a memory limit."""

    path: Path

    @property
    def is_version_2(self) -> bool:
        """Whether its files are those of version 2."""
        return (self.path / "memory.max").exists()

    def add(self, pid: int) -> bool:
        """Add a process: the memory it touches from now on counts against the limit. False if that is not permitted."""
        try:
            (self.path / "cgroup.procs").write_text(str(pid))
        except OSError:
            return False
        return True

    def join(self) -> None:
        """Move this process here. The kernel may take 20 ms to do so. Raises OSError."""
        (self.path / "cgroup.procs").write_text("0")

    def set_limit(self, limit: int) -> None:
        """Limit memory and swap together to `limit` bytes. Raises OSError."""
        memory, swap = _LIMITS_2 if self.is_version_2 else _LIMITS_1
        with (self.path / memory).open("r+") as file:
            file.write(str(limit))
        with suppress(OSError), (self.path / swap).open("r+") as file:  # swap accounting may be disabled
            file.write("0" if self.is_version_2 else str(limit))  # version 1 limits memory and swap together

    def events(self) -> dict[str, int]:
        """The counters of this cgroup: `oom_kill` is how many of its processes the OOM killer has ended."""
        name = "memory.events" if self.is_version_2 else "memory.oom_control"
        lines = (self.path / name).read_text().splitlines()
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
    cgroup = create_leaf(proc=proc, root=root)
    try:
        if cgroup is not None:
            cgroup.set_limit(limit)
        yield cgroup
    finally:
        if cgroup is not None:
            cgroup.remove()


def create_leaf(*, proc: Path = Path("/proc/self/cgroup"), root: Path = ROOT) -> Cgroup | None:
    """A new cgroup without a limit; None if none can be created that can have one."""
    for parent, limit_file in _candidate_parents(proc, root):
        path = parent / f"bulkhead-{os.getpid()}-{secrets.token_hex(4)}"
        with suppress(OSError):
            path.mkdir()
            if os.access(path / limit_file, os.W_OK):
                return Cgroup(path)
            path.rmdir()
    return None


def _candidate_parents(proc: Path, root: Path) -> Iterator[tuple[Path, str]]:
    """Where a cgroup may be created, with the file that limits its memory: below our own cgroup, else beside it.

    Version 2 gives controllers only to children of a cgroup that contains no process itself, hence "beside".
    """
    for line in proc.read_text().splitlines():
        _number, controllers, name = line.split(":", 2)
        own = PurePath(name.lstrip("/"))
        if "memory" in controllers.split(","):
            yield root / "memory" / own, _LIMITS_1[0]
        elif not controllers:
            for parent in dict.fromkeys((own, own.parent)):
                yield root / parent, _LIMITS_2[0]


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
