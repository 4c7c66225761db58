"""What a supervisor measures of other processes and their directory: memory, time, threads and disk."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")

# Bytes that a file or directory counts at least: it needs an inode, of which a file system has a limited number.
MIN_ENTRY_BYTES = 4096

# Levels of directories, and what a directory below them counts: beyond 2,000 a path becomes too long to be listed.
MAX_DEPTH = 100
_TOO_DEEP = 2**62

# A directory is measured for so many seconds at a time. The next measurement begins after a pause: not less than
# DISK_INTERVAL, and so long that all of them take a share of 1 to DISK_SHARE of the time.
DISK_SLICE = 0.005
DISK_INTERVAL = 0.5
DISK_SHARE = 20

# States of a thread (proc(5)): it runs or waits for a processor, it waits for a disk, or somebody has stopped it.
_BUSY_STATES = frozenset("RDTt")


@dataclass(frozen=True, slots=True)
class Seen:
    """Memory in bytes, processor time in seconds, and bytes written to files. `is_waiting`: all threads sleep."""

    resident: int
    peak: int
    cpu: float
    threads: int
    written: int
    is_waiting: bool

    def __add__(self, other: "Seen") -> "Seen":
        """Both processes together."""
        return Seen(
            self.resident + other.resident,
            self.peak + other.peak,
            self.cpu + other.cpu,
            self.threads + other.threads,
            self.written + other.written,
            self.is_waiting and other.is_waiting,
        )


def measure(pid: int) -> Seen | None:
    """Measure a process; None if it is about to end. Takes about 100 microseconds."""
    proc = Path("/proc", str(pid))
    try:
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        times = _stat(proc)[11:15]  # utime, stime, and those of children that have ended
        io = dict(line.split(":", 1) for line in (proc / "io").read_text().splitlines())
        is_waiting = not any(_is_busy(task) for task in (proc / "task").iterdir())
    except OSError:
        return None
    if "VmRSS" not in status:  # a zombie
        return None
    return Seen(
        resident=_kibibytes(status["VmRSS"]),
        peak=_kibibytes(status["VmHWM"]),
        cpu=sum(map(int, times)) / _TICK,
        threads=int(status["Threads"]),
        # Both: write_bytes leaves out files in memory, wchar leaves out mapped files.
        written=max(int(io["wchar"]), int(io["write_bytes"])),
        is_waiting=is_waiting,
    )


def measure_session(leader: int) -> Seen | None:
    """Measure a program with all processes that it started, which cannot leave its session. Takes milliseconds."""
    total = measure(leader)
    for proc in Path("/proc").iterdir():
        if total is None or not proc.name.isdecimal() or proc.name == str(leader):
            continue
        with suppress(OSError):
            if int(_stat(proc)[3]) == leader and (seen := measure(int(proc.name))) is not None:
                total += seen
    return total


class DirectoryMeter:
    """Bytes on disk of all files below a directory, without following links.

    It is measured a little at a time, because a hostile process may make millions of files.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._walk: Iterator[int] | None = None
        self._size = self._found = 0
        self._spent = 0.0
        self._due_at = time.monotonic() + DISK_INTERVAL

    def measure(self) -> int:
        """Continue. Returns the size at the end of the last measurement or, if that is larger, what was found since."""
        started_at = now = time.monotonic()
        if self._walk is None:
            if now < self._due_at:
                return self._size
            self._walk, self._found, self._spent = _sizes(self._path), 0, 0.0
        for size in self._walk:
            self._found += size
            now = time.monotonic()
            if now - started_at > DISK_SLICE:
                self._spent += now - started_at
                return max(self._size, self._found)
        self._spent += now - started_at
        self._walk, self._size, self._due_at = None, self._found, now + max(DISK_INTERVAL, DISK_SHARE * self._spent)
        return self._size


def _sizes(path: Path) -> Iterator[int]:
    """The size of each file and directory. Some may vanish meanwhile, or be closed to this user."""
    folders = [(str(path), 0)]
    while folders:
        folder, depth = folders.pop()
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append((entry.path, depth + 1))
                yield _entry_size(entry) if depth < MAX_DEPTH else _TOO_DEEP


def _entry_size(entry: "os.DirEntry[str]") -> int:
    with suppress(OSError):
        return max(entry.stat(follow_symlinks=False).st_blocks * 512, MIN_ENTRY_BYTES)
    return 0


def kill(pidfd: int) -> None:
    """Send SIGKILL to the process of a pidfd. Raises ProcessLookupError if it has been reaped."""
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def _stat(proc: Path) -> list[str]:
    """Fields of proc(5) from the third one on: the state is 0."""
    return (proc / "stat").read_text().rpartition(")")[2].split()


def _is_busy(task: Path) -> bool:
    try:
        return _stat(task)[0] in _BUSY_STATES
    except FileNotFoundError:
        return False


def _kibibytes(field: str) -> int:
    return int(field.split()[0]) * 1024
