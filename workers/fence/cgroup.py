"""What this process's memory cgroup tells. Version 2, or version 1 where that is what the machine has."""

from functools import cache
from pathlib import Path

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
