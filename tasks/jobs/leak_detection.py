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
UNJUDGED_TAIL = 1

# Jobs without which nothing is certain, and jobs that left something without which nothing is even suspected.
MIN_JOBS = 20
MIN_LEAKING_JOBS = 3

# Jobs that are looked at: the last so many.
MAX_JOBS = 1000

# Folder of the store for reports on single jobs of suspected kinds: `leaks/<format>/<engine>/<job>.html`.
REPORTS_PREFIX = "leaks"


class Confidence(StrEnum):
    """How sure it is that a kind of drawing leaks."""

    UNKNOWN = "unknown"
    CLEAN = "clean"
    SUSPECTED = "suspected"
    CERTAIN = "certain"


_ORDER = list(Confidence)


@dataclass(frozen=True, slots=True)
class Residue:
    """What `child` held after a job: bytes of pixels as ImageMagick counts them, bytes of heap, open files.

    A job that was `tracked` holds its observer, too.
    """

    child: str
    started_at: float
    format: str
    engine: str
    pixels: int
    heap: int
    files: int
    profiled: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of drawing: of `jobs` that could be judged, `leaving` left something, as `gauge` counts it.

    `bytes` and `files` are what stays of a job for good.
    """

    format: str
    engine: str
    confidence: Confidence
    resource: str
    jobs: int
    leaking_jobs: int
    leaked_bytes: int
    leaked_files: float

    @property
    def is_suspected(self) -> bool:
        """Whether a leak is suspected or certain."""
        return self.confidence in {Confidence.SUSPECTED, Confidence.CERTAIN}

    @property
    def summary(self) -> str:
        """For a log: what is known, and what to do."""
        what = (
            f"{self.leaked_files:,.2f} open files"
            if self.resource == "files"
            else f"{self.leaked_bytes:,} bytes ({self.resource})"
        )
        return (
            f"Renders of {self.format} leave {what} a job behind, as {self.leaking_jobs} of {self.jobs} jobs show. "
            f"A leak is {self.confidence}: `bulkhead leaks hunt` with such a drawing names it."
        )


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a job must leave at `least` to count, and which share of the jobs must, to be certain."""

    minimum: int
    share: float


# ImageMagick's count is exact: it is 0 after a clean job. The heap's is not, for it counts what glibc keeps in a
# thread's cache: up to 7 free blocks of each of 64 sizes, 237 kB (malloc/malloc.c, TCACHE_MAX_BINS). Clean jobs leave
# that much whenever a library starts a thread, and some megabytes once, when a library is first used.
_RULES = {"pixels": _Rule(1, 0.05), "files": _Rule(1, 0.5), "heap": _Rule(256 * 1024, 0.5)}


def residues(attempts: Iterable[tuple[str, Attempt]]) -> Iterator[Residue]:
    """What attempts noted, each with its drawing's format; those without such notes are left out."""
    for kind, attempt in attempts:
        facts = attempt.facts or {}
        if "heap_bytes" in facts:
            yield Residue(
                attempt.lease_owner,
                attempt.started_at,
                kind or "unknown",
                facts["engine"],
                facts["pixel_bytes"],
                facts["heap_bytes"],
                facts["open_files"],
                facts.get("profiled", False),
            )


def find_leaks(residues: Iterable[Residue]) -> list[Finding]:
    """One finding for each format and engine version, the worst first."""
    children: dict[str, list[Residue]] = defaultdict(list)
    kinds: dict[tuple[str, str], list[dict[str, int]]] = {}
    for left in residues:
        children[left.child].append(left)
        kinds.setdefault((left.format, left.engine), [])
    for jobs in children.values():
        for left, stayed in _retained(sorted(jobs, key=lambda left: left.started_at)):
            kinds[left.format, left.engine].append(stayed)
    findings = [_finding(*kind, stayed) for kind, stayed in kinds.items()]
    return sorted(findings, key=lambda one: (-_ORDER.index(one.confidence), -one.leaked_bytes, one.format, one.engine))


def _retained(jobs: Sequence[Residue]) -> Iterator[tuple[Residue, dict[str, int]]]:
    """Of one child's jobs those that can be judged, with what stayed of each for good, by gauge."""
    floors = {gauge: _running_minimum([getattr(job, gauge) for job in jobs]) for gauge in _RULES}
    for index in range(WARM_UP, len(jobs) - UNJUDGED_TAIL):
        if not jobs[index].profiled:
            yield jobs[index], {gauge: floor[index] - floor[index - 1] for gauge, floor in floors.items()}


def _running_minimum(levels: list[int]) -> list[int]:
    """The lowest level from each job on."""
    floor = list(levels)
    for index in range(len(floor) - 2, -1, -1):
        floor[index] = min(floor[index], floor[index + 1])
    return floor


def _finding(kind: str, engine: str, stayed: Sequence[dict[str, int]]) -> Finding:
    jobs = len(stayed)
    counts = {gauge: sum(one[gauge] >= rule.minimum for one in stayed) for gauge, rule in _RULES.items()}
    sure = {gauge: _confidence(rule, counts[gauge], jobs) for gauge, rule in _RULES.items()}
    gauge = max(_RULES, key=lambda name: _ORDER.index(sure[name]))
    pixels, heap, files = ([one[name] for one in stayed] or [0] for name in ("pixels", "heap", "files"))
    size = max(fmean(pixels), median(heap))  # pixels in memory lie on the heap, those on disk do not
    return Finding(kind, engine, sure[gauge], gauge, jobs, counts[gauge], round(size), round(fmean(files), 3))


def _confidence(rule: _Rule, leaking_jobs: int, jobs: int) -> Confidence:
    """What one gauge says."""
    if leaking_jobs >= MIN_LEAKING_JOBS and leaking_jobs >= jobs * rule.share / 2:
        certain = jobs >= MIN_JOBS and leaking_jobs >= jobs * rule.share
        return Confidence.CERTAIN if certain else Confidence.SUSPECTED
    return Confidence.CLEAN if jobs >= MIN_JOBS else Confidence.UNKNOWN
