"""Leak detection: what render jobs leave behind in the workers, by drawing format and engine version.

    for finding in find_leaks(residues(latest_attempts(ledger.database, MAX_JOBS))):
        print(finding.summary)

After each attempt a worker records the resources that its process holds. A job's leak is the amount that is never
freed, computed as in `leaks/`: the lowest level from that job on, minus the lowest level from the previous job on. So
memory that a later job frees does not count, and neither does the resident set size. Pure functions.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, median

from tasks.jobs import Attempt
from tasks.utils.units import format_bytes

# Jobs of a child that are not judged: the first ones fill caches, and for the last one no later job shows whether its
# memory is freed.
WARM_UP = 3
UNJUDGED_TAIL = 1

# The fewest jobs for certainty, and the fewest leaking jobs for suspicion.
MIN_JOBS = 20
MIN_LEAKING_JOBS = 3

# The number of latest jobs that are examined.
MAX_JOBS = 1000

# Prefix in the store of the reports on single jobs of suspected formats: `leaks/<format>/<engine>/<job>.html`.
REPORTS_PREFIX = "leaks"


class Confidence(StrEnum):
    """The confidence that renders of a format leak."""

    UNKNOWN = "unknown"
    CLEAN = "clean"
    SUSPECTED = "suspected"
    CERTAIN = "certain"


_ORDER = list(Confidence)


@dataclass(frozen=True, slots=True)
class Residue:
    """The resources that `child` held after a job: bytes of pixels by ImageMagick's count, bytes of heap, open files.

    A `profiled` job also holds its profiler.
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
    """The result for one format and engine version: `leaking_jobs` of `jobs` leaked the `resource`.

    `leaked_bytes` and `leaked_files` are averages per job.
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
        """A sentence for logs: what is known, and what to do."""
        amount = (
            f"{self.leaked_files:,.2f} open files"
            if self.resource == "files"
            else f"{format_bytes(self.leaked_bytes)} ({self.resource})"
        )
        return (
            f"{self.leaking_jobs} of {self.jobs} renders of {self.format} left memory or files behind: {amount} "
            "per job "
            f"on average. A leak is {self.confidence}: run `bulkhead leaks hunt` on a drawing of this format to "
            "find it."
        )


@dataclass(frozen=True, slots=True)
class _Rule:
    """The `minimum` that a job must leave behind to count, and the `share` of such jobs that makes a leak certain."""

    minimum: int
    share: float


# ImageMagick's count is exact: it is 0 after a clean job. The heap's count includes glibc's cache of each thread: up to
# 7 free blocks of each of 64 sizes, 237 kB (malloc/malloc.c, TCACHE_MAX_BINS). Clean jobs leave that much behind
# whenever a library starts a thread, and some megabytes once, when a library is first used.
_RULES = {"pixels": _Rule(1, 0.05), "files": _Rule(1, 0.5), "heap": _Rule(256 * 1024, 0.5)}


def residues(attempts: Iterable[tuple[str, Attempt]]) -> Iterator[Residue]:
    """The residues that attempts recorded, given each with its drawing's format. Attempts without one are skipped."""
    for drawing_format, attempt in attempts:
        facts = attempt.facts or {}
        if "heap_bytes" in facts:
            yield Residue(
                attempt.lease_owner,
                attempt.started_at,
                drawing_format or "unknown",
                facts["engine"],
                facts["pixel_bytes"],
                facts["heap_bytes"],
                facts["open_files"],
                facts.get("profiled", False),
            )


def find_leaks(residues: Iterable[Residue]) -> list[Finding]:
    """One finding for each format and engine version, the worst first."""
    by_child: dict[str, list[Residue]] = defaultdict(list)
    leaks: dict[tuple[str, str], list[dict[str, int]]] = {}
    for residue in residues:
        by_child[residue.child].append(residue)
        leaks.setdefault((residue.format, residue.engine), [])
    for jobs in by_child.values():
        for residue, leaked in _leaked(sorted(jobs, key=lambda job: job.started_at)):
            leaks[residue.format, residue.engine].append(leaked)
    findings = [_finding(*key, leaked) for key, leaked in leaks.items()]
    return sorted(findings, key=lambda one: (-_ORDER.index(one.confidence), -one.leaked_bytes, one.format, one.engine))


def _leaked(jobs: Sequence[Residue]) -> Iterator[tuple[Residue, dict[str, int]]]:
    """The jobs of one child that can be judged, with what each leaked, by resource."""
    floors = {resource: _floor([getattr(job, resource) for job in jobs]) for resource in _RULES}
    for index in range(WARM_UP, len(jobs) - UNJUDGED_TAIL):
        if not jobs[index].profiled:
            yield jobs[index], {resource: floor[index] - floor[index - 1] for resource, floor in floors.items()}


def _floor(levels: list[int]) -> list[int]:
    """For each job, the lowest level from that job on."""
    floor = list(levels)
    for index in range(len(floor) - 2, -1, -1):
        floor[index] = min(floor[index], floor[index + 1])
    return floor


def _finding(drawing_format: str, engine: str, leaked: Sequence[dict[str, int]]) -> Finding:
    jobs = len(leaked)
    leaking = {name: sum(one[name] >= rule.minimum for one in leaked) for name, rule in _RULES.items()}
    confidence = {name: _confidence(rule, leaking[name], jobs) for name, rule in _RULES.items()}
    worst = max(_RULES, key=lambda name: _ORDER.index(confidence[name]))
    pixels, heap, files = ([one[name] for one in leaked] or [0] for name in ("pixels", "heap", "files"))
    return Finding(
        drawing_format,
        engine,
        confidence[worst],
        worst,
        jobs,
        leaking[worst],
        leaked_bytes=round(max(fmean(pixels), median(heap))),  # pixels in memory are on the heap, those on disk are not
        leaked_files=round(fmean(files), 3),
    )


def _confidence(rule: _Rule, leaking_jobs: int, jobs: int) -> Confidence:
    """The confidence that one resource leaks."""
    if leaking_jobs >= MIN_LEAKING_JOBS and leaking_jobs >= jobs * rule.share / 2:
        certain = jobs >= MIN_JOBS and leaking_jobs >= jobs * rule.share
        return Confidence.CERTAIN if certain else Confidence.SUSPECTED
    return Confidence.CLEAN if jobs >= MIN_JOBS else Confidence.UNKNOWN
