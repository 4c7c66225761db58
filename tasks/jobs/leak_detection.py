"""What jobs leave behind in the workers, by kind of drawing and engine version: from the ledger's facts to a verdict.

    for finding in judge(leftovers(lately(ledger.database, LATEST))):
        print(finding.sentence)

Workers note after each attempt what their process holds by then. What a job left for good is told as a leak hunt tells
it, by survival: how much the lowest level from then on lies above the lowest one from the job before on. Memory that a
later job gives back counts for nothing, neither does the resident set. Pure.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, median

from tasks.jobs import Attempt

# Of a child's life the first jobs fill caches, and of the last one nobody can tell what survives it.
WARM_UP = 3
LAG = 1

# Jobs without which nothing is certain, and jobs that left something without which nothing is even suspected.
FEWEST_JOBS = 20
FEWEST_LEAVING = 3

# Jobs that are looked at: the last so many.
LATEST = 1000

# Folder of the store for reports on single jobs of suspected kinds: `leaks/<format>/<engine>/<job>.html`.
REPORTS = "leaks"


class Sureness(StrEnum):
    """How sure it is that a kind of drawing leaks."""

    UNKNOWN = "unknown"
    CLEAN = "clean"
    SUSPECTED = "suspected"
    CERTAIN = "certain"


_ORDER = list(Sureness)


@dataclass(frozen=True, slots=True)
class Left:
    """What `child` held after a job: bytes of pixels as ImageMagick counts them, bytes of heap, open files.

    A job that was `tracked` holds its observer, too.
    """

    child: str
    began: float
    format: str
    engine: str
    pixels: int
    heap: int
    files: int
    tracked: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of drawing: of `jobs` that could be judged, `leaving` left something, as `gauge` counts it.

    `bytes` and `files` are what stays of a job for good.
    """

    format: str
    engine: str
    sureness: Sureness
    gauge: str
    jobs: int
    leaving: int
    bytes: int
    files: float

    @property
    def is_suspect(self) -> bool:
        """Whether a leak is suspected or certain."""
        return self.sureness in {Sureness.SUSPECTED, Sureness.CERTAIN}

    @property
    def sentence(self) -> str:
        """For a log: what is known, and what to do."""
        what = f"{self.files:,.2f} open files" if self.gauge == "files" else f"{self.bytes:,} bytes ({self.gauge})"
        return (
            f"Renders of {self.format} leave {what} a job behind, as {self.leaving} of {self.jobs} jobs show. "
            f"A leak is {self.sureness}: `bulkhead leaks hunt` with such a drawing names it."
        )


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a job must leave at `least` to count, and which share of the jobs must, to be certain."""

    least: int
    share: float


# ImageMagick's count is exact: it is 0 after a clean job. The heap's is not, for it counts what glibc keeps in a
# thread's cache: up to 7 free blocks of each of 64 sizes, 237 kB (malloc/malloc.c, TCACHE_MAX_BINS). Clean jobs leave
# that much whenever a library starts a thread, and some megabytes once, when a library is first used.
_RULES = {"pixels": _Rule(1, 0.05), "files": _Rule(1, 0.5), "heap": _Rule(256 * 1024, 0.5)}


def leftovers(attempts: Iterable[tuple[str, Attempt]]) -> Iterator[Left]:
    """What attempts noted, each with its drawing's format; those without such notes are left out."""
    for kind, attempt in attempts:
        facts = attempt.facts or {}
        if "heap_bytes" in facts:
            yield Left(
                attempt.holder,
                attempt.started_at,
                kind or "unknown",
                facts["engine"],
                facts["pixel_bytes"],
                facts["heap_bytes"],
                facts["open_files"],
                facts.get("tracked", False),
            )


def judge(lefts: Iterable[Left]) -> list[Finding]:
    """One finding for each format and engine version, the worst first."""
    children: dict[str, list[Left]] = defaultdict(list)
    kinds: dict[tuple[str, str], list[dict[str, int]]] = {}
    for left in lefts:
        children[left.child].append(left)
        kinds.setdefault((left.format, left.engine), [])
    for jobs in children.values():
        for left, stayed in _stayed(sorted(jobs, key=lambda left: left.began)):
            kinds[left.format, left.engine].append(stayed)
    findings = [_finding(*kind, stayed) for kind, stayed in kinds.items()]
    return sorted(findings, key=lambda one: (-_ORDER.index(one.sureness), -one.bytes, one.format, one.engine))


def _stayed(jobs: Sequence[Left]) -> Iterator[tuple[Left, dict[str, int]]]:
    """Of one child's jobs those that can be judged, with what stayed of each for good, by gauge."""
    floors = {gauge: _floor([getattr(job, gauge) for job in jobs]) for gauge in _RULES}
    for index in range(WARM_UP, len(jobs) - LAG):
        if not jobs[index].tracked:
            yield jobs[index], {gauge: floor[index] - floor[index - 1] for gauge, floor in floors.items()}


def _floor(levels: list[int]) -> list[int]:
    """The lowest level from each job on."""
    floor = list(levels)
    for index in range(len(floor) - 2, -1, -1):
        floor[index] = min(floor[index], floor[index + 1])
    return floor


def _finding(kind: str, engine: str, stayed: Sequence[dict[str, int]]) -> Finding:
    jobs = len(stayed)
    counts = {gauge: sum(one[gauge] >= rule.least for one in stayed) for gauge, rule in _RULES.items()}
    sure = {gauge: _sureness(rule, counts[gauge], jobs) for gauge, rule in _RULES.items()}
    gauge = max(_RULES, key=lambda name: _ORDER.index(sure[name]))
    pixels, heap, files = ([one[name] for one in stayed] or [0] for name in ("pixels", "heap", "files"))
    size = max(fmean(pixels), median(heap))  # pixels in memory lie on the heap, those on disk do not
    return Finding(kind, engine, sure[gauge], gauge, jobs, counts[gauge], round(size), round(fmean(files), 3))


def _sureness(rule: _Rule, leaving: int, jobs: int) -> Sureness:
    """What one gauge says."""
    if leaving >= FEWEST_LEAVING and leaving >= jobs * rule.share / 2:
        certain = jobs >= FEWEST_JOBS and leaving >= jobs * rule.share
        return Sureness.CERTAIN if certain else Sureness.SUSPECTED
    return Sureness.CLEAN if jobs >= FEWEST_JOBS else Sureness.UNKNOWN
