"""A memory cgroup of our own for one child, where this process may make one (root, or a delegated tree)."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

from workers.sandbox.cgroup import ROOT

# The kernel may take a moment to see that a killed process has left its cgroup (seconds).
REMOVE_TIMEOUT = 1.0


@dataclass(frozen=True, slots=True)
class Cgroup:
    """A cgroup with a memory limit. `events` is its file with the kernel's count of kills."""

    path: Path
    events_file: str

    def add(self, pid: int) -> bool:
        """Move a process in: what it touches from now on counts against the limit. False where that is not allowed."""
        try:
            (self.path / "cgroup.procs").write_text(str(pid))
        except OSError:
            return False
        return True

    def oom_kills(self) -> int:
        """How many processes in here the kernel has killed for memory."""
        for line in (self.path / self.events_file).read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
        return 0

    def remove(self) -> None:
        """Take the cgroup away once its processes are gone."""
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
    """A cell of `limit` bytes for the length of the block; None where no cgroup can be made."""
    made = _create(limit, proc, root)
    try:
        yield made
    finally:
        if made is not None:
            made.remove()


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
    with suppress(OSError), (path / swap).open("r+") as file:  # the kernel may not account for swap
        file.write("0" if memory == "memory.max" else str(limit))  # version 1 counts memory and swap together


def _candidate_parents(proc: Path, root: Path) -> Iterator[tuple[Path, tuple[str, str], str]]:
    """Where a cgroup may be made, with the names of its files: below our own, else beside it.

    Version 2 gives a cgroup's children a controller only if it has no processes itself, so beside comes after below.
    """
    for line in proc.read_text().splitlines():
        _number, controllers, name = line.split(":", 2)
        own = PurePath(name.lstrip("/"))
        if "memory" in controllers.split(","):
            yield root / "memory" / own, ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), "memory.oom_control"
        elif not controllers:
            for place in dict.fromkeys((own, own.parent)):
                yield root / place, ("memory.max", "memory.swap.max"), "memory.events"
