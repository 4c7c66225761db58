"""What a supervisor measures of another process, read from /proc. Takes about 100 microseconds."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")

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


def measure(pid: int) -> Seen | None:
    """Measure a process; None if it is about to end."""
    proc = Path("/proc", str(pid))
    try:
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        times = (proc / "stat").read_text().rpartition(")")[2].split()
        io = dict(line.split(":", 1) for line in (proc / "io").read_text().splitlines())
        is_waiting = not any(_is_busy(task) for task in (proc / "task").iterdir())
    except OSError:
        return None
    if "VmRSS" not in status:  # a zombie
        return None
    return Seen(
        resident=_kibibytes(status["VmRSS"]),
        peak=_kibibytes(status["VmHWM"]),
        cpu=(int(times[11]) + int(times[12])) / _TICK,  # utime and stime
        threads=int(status["Threads"]),
        # Both: write_bytes leaves out files in memory, wchar leaves out mapped files.
        written=max(int(io["wchar"]), int(io["write_bytes"])),
        is_waiting=is_waiting,
    )


def directory_size(path: Path) -> int:
    """Bytes on disk of all files below a directory, without following links. Files may vanish meanwhile."""
    total, folders = 0, [path]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
        except FileNotFoundError:
            continue
    return total


def kill(pidfd: int) -> None:
    """Send SIGKILL to the process of a pidfd. Raises ProcessLookupError if it has been reaped."""
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def _is_busy(task: Path) -> bool:
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0] in _BUSY_STATES
    except FileNotFoundError:
        return False


def _kibibytes(field: str) -> int:
    return int(field.split()[0]) * 1024
