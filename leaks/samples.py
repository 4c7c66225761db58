"""What a hunt has read: one number a job for each gauge, in arrays made beforehand: the observer adds nothing."""

import json
from array import array
from dataclasses import dataclass, field, fields
from pathlib import Path

# A block that lives on when this many more jobs are done is a survivor: caches of one job's result are not.
LAG = 3

# The least that a verdict can stand on: warm-up, four quarters of three jobs, and the lag.
MIN_JOBS = 20


def warm_up_jobs(jobs: int) -> int:
    """Jobs at the start that do not count: modules load, tables are built, caches fill."""
    return max(5, jobs // 5)


@dataclass(slots=True)
class Samples:
    """One entry a job, read right after it and a run of Python's collector.

    live: bytes on the heap. resident: bytes in memory. descriptors: open files. memory, map, disk: bytes that
    ImageMagick says its pixel caches take there. python: blocks that CPython's allocators hold. waiting: heap bytes
    that nobody but the collector freed. nanoseconds: the job alone.
    kept_bytes, kept_blocks: what was born in that job and lives at the very end; empty where nobody tagged.
    trimmed: resident bytes before and after malloc_trim at the end.
    """

    jobs: int
    warm_up: int
    live: list[int] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    map: list[int] = field(default_factory=list)
    disk: list[int] = field(default_factory=list)
    python: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    nanoseconds: list[int] = field(default_factory=list)
    kept_bytes: list[int] = field(default_factory=list)
    kept_blocks: list[int] = field(default_factory=list)
    trimmed: tuple[int, int] = (0, 0)
    failures: int = 0

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps({each.name: getattr(self, each.name) for each in fields(self)}))

    @classmethod
    def read(cls, path: Path) -> "Samples":
        """What `write` wrote."""
        samples = cls(**json.loads(path.read_text()))
        samples.trimmed = (samples.trimmed[0], samples.trimmed[1])
        return samples


class Series:
    """Room for one number a job, made before the first job."""

    def __init__(self, jobs: int) -> None:
        self._numbers = array("q", bytes(8 * jobs))

    def __setitem__(self, index: int, number: int) -> None:
        self._numbers[index] = number

    def first(self, jobs: int) -> list[int]:
        """The first `jobs` numbers."""
        return self._numbers[:jobs].tolist()
