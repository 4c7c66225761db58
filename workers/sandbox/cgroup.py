"""What this process's memory cgroup tells. Version 2, or version 1 where that is what the machine has.

Version 1 tells less: of its events only how often the limit was met and how many were killed, and no pressure of its
own, so that the machine's is given.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePath

ROOT = Path("/sys/fs/cgroup")
SELF = Path("/proc/self/cgroup")
PRESSURE = Path("/proc/pressure/memory")

# A file's name in version 1 and in version 2.
_CURRENT = ("memory.usage_in_bytes", "memory.current")
_PEAK = ("memory.max_usage_in_bytes", "memory.peak")
_LIMIT = ("memory.limit_in_bytes", "memory.max")
_EVENTS = ("memory.oom_control", "memory.events")
_LIMIT_HITS = "memory.failcnt"
_OWN_PRESSURE = "memory.pressure"


@dataclass(frozen=True, slots=True)
class MemoryPressure:
    """Share of the last 10 seconds, in per cent, that `some` or all (`full`) tasks waited for memory (PSI)."""

    some: float
    full: float


@dataclass(frozen=True, slots=True)
class CgroupMemory:
    """A memory cgroup, all its processes together. Bytes; None where nothing tells.

    `events` counts since the cgroup was made: `max` how often its limit was met, `oom_kill` the killed.
    """

    current: int | None = None
    peak: int | None = None
    limit: int | None = None
    events: dict[str, int] = field(default_factory=dict)
    pressure: MemoryPressure | None = None


def read_memory(proc: Path = SELF, root: Path = ROOT, host_pressure: Path = PRESSURE) -> CgroupMemory:
    """All that our cgroup tells. Takes under a millisecond: for deaths, not for every job."""
    return CgroupMemory(
        current=_first_number(proc, root, _CURRENT),
        peak=_first_number(proc, root, _PEAK),
        limit=memory_limit(proc, root),
        events=_events(proc, root),
        pressure=_pressure(proc, root, host_pressure),
    )


def oom_kills(proc: Path = SELF, root: Path = ROOT) -> int:
    """Processes of our cgroup that the kernel has killed for memory since it was made; 0 where nothing tells."""
    return _events(proc, root).get("oom_kill", 0)


def memory_limit(proc: Path = SELF, root: Path = ROOT) -> int | None:
    """The least memory limit on the way from our cgroup to the root, in bytes; None where there is none."""
    limits = [limit for path in _limit_files(proc, root) if (limit := _read_limit(path)) is not None]
    return min(limits, default=None)


def _events(proc: Path, root: Path) -> dict[str, int]:
    for path in _candidate_files(proc, root, _EVENTS):
        found = _read_counters(path)
        if "oom_kill" not in found:
            continue
        if path.name == _EVENTS[0] and (met := _read_number(path.with_name(_LIMIT_HITS))) is not None:
            return {"max": met, "oom_kill": found["oom_kill"]}
        return found
    return {}


def _read_counters(path: Path) -> dict[str, int]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    return {name: int(count) for name, _, count in (line.partition(" ") for line in lines) if count.isdecimal()}


def _first_number(proc: Path, root: Path, names: tuple[str, str]) -> int | None:
    numbers = (_read_number(path) for path in _candidate_files(proc, root, names))
    return next((number for number in numbers if number is not None), None)


def _read_number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _pressure(proc: Path, root: Path, host: Path) -> MemoryPressure | None:
    for path in (*_candidate_files(proc, root, (_OWN_PRESSURE, _OWN_PRESSURE)), host):
        try:
            lines = path.read_text().splitlines()  # "some avg10=0.00 avg60=0.00 avg300=0.00 total=0"
        except OSError:
            continue
        shares = {
            kind: float(rest.split()[0].partition("=")[2]) for kind, rest in (line.split(" ", 1) for line in lines)
        }
        return MemoryPressure(shares["some"], shares["full"])
    return None


@cache
def _candidate_files(proc: Path, root: Path, names: tuple[str, str]) -> tuple[Path, ...]:
    """Files that may tell, best first. A container sees its own cgroup at the hierarchy's root."""
    found: list[Path] = []
    for line in proc.read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        if controllers == "memory":
            found += [root / "memory" / path.lstrip("/") / names[0], root / "memory" / names[0]]
        elif not controllers:
            for hierarchy in (root, root / "unified"):
                found += [hierarchy / path.lstrip("/") / names[1], hierarchy / names[1]]
    return tuple(found)


def _limit_files(proc: Path, root: Path) -> Iterator[Path]:
    for line in proc.read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        if controllers not in ("memory", ""):
            continue
        bases = [root / "memory"] if controllers else [root, root / "unified"]
        name = _LIMIT[0] if controllers else _LIMIT[1]
        relative = PurePath(path.lstrip("/"))
        yield from (base / part / name for base in bases for part in (relative, *relative.parents))


def _read_limit(path: Path) -> int | None:
    number = _read_number(path)
    # Version 1 says "no limit" with the largest number of pages that fits (9223372036854771712).
    return number if number is not None and number < 2**62 else None
