"""Reads the memory cgroup of this process: version 2, or version 1 on machines that still use it.

Version 1 has fewer counters: of the events only limit hits and OOM kills. It has no pressure per cgroup, so the
pressure of the whole machine is read instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePath

ROOT = Path("/sys/fs/cgroup")
SELF = Path("/proc/self/cgroup")
PRESSURE = Path("/proc/pressure/memory")

# Names of a file in version 1 and in version 2.
_CURRENT = ("memory.usage_in_bytes", "memory.current")
_PEAK = ("memory.max_usage_in_bytes", "memory.peak")
_LIMIT = ("memory.limit_in_bytes", "memory.max")
_EVENTS = ("memory.oom_control", "memory.events")
_LIMIT_HITS = "memory.failcnt"
_OWN_PRESSURE = "memory.pressure"


@dataclass(frozen=True, slots=True)
class MemoryPressure:
    """Percentage of the last 10 seconds in which `some` or all (`full`) tasks waited for memory (PSI)."""

    some: float
    full: float


@dataclass(frozen=True, slots=True)
class CgroupMemory:
    """Memory of all processes of a cgroup together, in bytes; None where the kernel does not report it.

    `events` counts since the cgroup was created: `max` the limit hits, `oom_kill` the processes killed.
    """

    current: int | None = None
    peak: int | None = None
    limit: int | None = None
    events: dict[str, int] = field(default_factory=dict)
    pressure: MemoryPressure | None = None


def read_memory(proc: Path = SELF, root: Path = ROOT, host_pressure: Path = PRESSURE) -> CgroupMemory:
    """Read all counters of our cgroup. Takes up to a millisecond, so it is used for crashes and not for every job."""
    return CgroupMemory(
        current=_first_number(proc, root, _CURRENT),
        peak=_first_number(proc, root, _PEAK),
        limit=memory_limit(proc, root),
        events=_events(proc, root),
        pressure=_pressure(proc, root, host_pressure),
    )


def oom_kills(proc: Path = SELF, root: Path = ROOT) -> int:
    """How many processes of our cgroup the OOM killer has ended since it was created; 0 if that is unknown."""
    return _events(proc, root).get("oom_kill", 0)


def memory_limit(proc: Path = SELF, root: Path = ROOT) -> int | None:
    """The smallest memory limit between our cgroup and the root, in bytes; None if there is no limit."""
    limits = [limit for path in _limit_files(proc, root) if (limit := _read_limit(path)) is not None]
    return min(limits, default=None)


def _events(proc: Path, root: Path) -> dict[str, int]:
    for path in _candidate_files(proc, root, _EVENTS):
        counters = _read_counters(path)
        if "oom_kill" not in counters:
            continue
        if path.name == _EVENTS[0] and (hits := _read_number(path.with_name(_LIMIT_HITS))) is not None:
            return {"max": hits, "oom_kill": counters["oom_kill"]}
        return counters
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
            kind: float(values.split()[0].partition("=")[2]) for kind, values in (line.split(" ", 1) for line in lines)
        }
        return MemoryPressure(shares["some"], shares["full"])
    return None


@cache
def _candidate_files(proc: Path, root: Path, names: tuple[str, str]) -> tuple[Path, ...]:
    """Paths at which the file may be, best first. A container sees its own cgroup at the root of the hierarchy."""
    paths: list[Path] = []
    for line in proc.read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        if controllers == "memory":
            paths += [root / "memory" / path.lstrip("/") / names[0], root / "memory" / names[0]]
        elif not controllers:
            for hierarchy in (root, root / "unified"):
                paths += [hierarchy / path.lstrip("/") / names[1], hierarchy / names[1]]
    return tuple(paths)


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
    # Version 1 reports "no limit" as the largest number of pages that fits (9223372036854771712).
    return number if number is not None and number < 2**62 else None
