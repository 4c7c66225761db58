"""What this process's memory cgroup tells. Version 2, or version 1 where that is what the machine has."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePath

ROOT = Path("/sys/fs/cgroup")


def oom_kills(proc: Path = Path("/proc/self/cgroup"), root: Path = ROOT) -> int:
    """Processes of our cgroup that the kernel has killed for memory since it was made; 0 where nothing tells."""
    for path in _counters(proc, root):
        try:
            fields = dict(line.split() for line in path.read_text().splitlines() if line.count(" ") == 1)
        except OSError:
            continue
        if "oom_kill" in fields:
            return int(fields["oom_kill"])
    return 0


@cache
def _counters(proc: Path, root: Path) -> tuple[Path, ...]:
    """Files that may hold the counter, best first. A container sees its own cgroup at the hierarchy's root."""
    found: list[Path] = []
    for line in proc.read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        if controllers == "memory":
            found += [root / "memory" / path.lstrip("/") / "memory.oom_control", root / "memory/memory.oom_control"]
        elif not controllers:
            for hierarchy in (root, root / "unified"):
                found += [hierarchy / path.lstrip("/") / "memory.events", hierarchy / "memory.events"]
    return tuple(found)


def memory_limit(proc: Path = Path("/proc/self/cgroup"), root: Path = ROOT) -> int | None:
    """The least memory limit on the way from our cgroup to the root, in bytes; None where there is none."""
    limits = [limit for path in _limit_files(proc, root) if (limit := _read_limit(path)) is not None]
    return min(limits, default=None)


def _limit_files(proc: Path, root: Path) -> Iterator[Path]:
    for line in proc.read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        if controllers not in ("memory", ""):
            continue
        bases = [root / "memory"] if controllers else [root, root / "unified"]
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        relative = PurePath(path.lstrip("/"))
        yield from (base / part / name for base in bases for part in (relative, *relative.parents))


def _read_limit(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    # Version 1 says "no limit" with the largest number of pages that fits (9223372036854771712).
    return int(text) if text.isdecimal() and int(text) < 2**62 else None
