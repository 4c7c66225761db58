"""The measurements of a hunt: one number per job and probe, in arrays allocated beforehand, so that measuring does not
allocate."""

import json
from array import array
from dataclasses import dataclass, field, fields
from pathlib import Path

# A block is a survivor if it is alive after this many more jobs; a cache of the last job's result is not.
LAG = 3

# The fewest jobs for a verdict: warm-up, four quarters of three jobs each, and the lag.
MIN_JOBS = 20


def warm_up_jobs(jobs: int) -> int:
    """Number of jobs at the start that do not count, while modules are loaded, tables built and caches filled."""
    return max(5, jobs // 5)


@dataclass(slots=True)
class Measurements:
    """One entry per job, read after the job and a garbage collection.

    live: bytes on the heap. resident: resident set size. descriptors: open files. memory, map, disk: bytes of
    ImageMagick's pixel caches in memory, in mapped files and on disk. python: blocks held by CPython's allocators.
    waiting: heap bytes that only the garbage collector freed. nanoseconds: duration of the job alone.
    kept_bytes, kept_blocks: memory that the job allocated and that is alive at the end; empty without a tagger.
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
        """Write the measurements as JSON."""
        path.write_text(json.dumps({each.name: getattr(self, each.name) for each in fields(self)}))

    @classmethod
    def read(cls, path: Path) -> "Measurements":
        """Read what `write` wrote."""
        measurements = cls(**json.loads(path.read_text()))
        measurements.trimmed = (measurements.trimmed[0], measurements.trimmed[1])
        return measurements


class Series:
    """An array of one number per job, allocated before the first job."""

    def __init__(self, jobs: int) -> None:
        self._numbers = array("q", bytes(8 * jobs))

    def __setitem__(self, index: int, number: int) -> None:
        self._numbers[index] = number

    def first(self, jobs: int) -> list[int]:
        """The first `jobs` numbers."""
        return self._numbers[:jobs].tolist()
