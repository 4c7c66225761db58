"""Leak detection: what render jobs leave behind in their processes, by drawing format and engine version.

    for finding in find_leaks(residues(latest_attempts(ledger.database, MAX_JOBS))):
        print(finding.summary)

Each render has a process of its own, which ends with it. Before that, it reports what it holds that it did not hold at
its start: pixels by ImageMagick's count, and open files. The heap also holds caches that a first render fills, so it is
measured in a sample of the jobs, whose work is repeated (see workers.runtime.leak_sampling). Pure functions.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, median

from tasks.jobs import Attempt
from tasks.utils.units import format_bytes

# The fewest leaking jobs for suspicion.
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
    """What a job left behind: bytes of pixels, open files, and bytes of heap if the job was sampled."""

    format: str
    engine: str
    pixels: int
    files: int
    heap: int | None = None


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
    """The `minimum` that a job must leave behind to count, the `share` of such jobs that makes a leak certain, and the
    fewest `jobs` for certainty.
    """

    minimum: int
    share: float
    jobs: int


# ImageMagick's count is exact: it is 0 after a clean job. The heap's count includes glibc's cache of each thread: up to
# 7 free blocks of each of 64 sizes, 237 kB (malloc/malloc.c, TCACHE_MAX_BINS). Clean jobs leave less than 20 kB behind
# when they are repeated, and that much when a library starts a thread.
_RULES = {"pixels": _Rule(1, 0.05, 20), "files": _Rule(1, 0.5, 20), "heap": _Rule(256 * 1024, 0.5, 8)}


def residues(attempts: Iterable[tuple[str, Attempt]]) -> Iterator[Residue]:
    """The residues that attempts recorded, given each with its drawing's format. Attempts without one are skipped."""
    for drawing_format, attempt in attempts:
        facts = attempt.facts or {}
        if "pixel_bytes" in facts:
            yield Residue(
                drawing_format or "unknown",
                facts["engine"],
                facts["pixel_bytes"],
                facts["descriptor_growth"],
                facts.get("heap_leaked_bytes"),
            )


def find_leaks(residues: Iterable[Residue]) -> list[Finding]:
    """One finding for each format and engine version, the worst first."""
    groups: dict[tuple[str, str], list[Residue]] = defaultdict(list)
    for residue in residues:
        groups[residue.format, residue.engine].append(residue)
    findings = [_finding(*key, jobs) for key, jobs in groups.items()]
    return sorted(findings, key=lambda one: (-_ORDER.index(one.confidence), -one.leaked_bytes, one.format, one.engine))


def _finding(drawing_format: str, engine: str, jobs: list[Residue]) -> Finding:
    leaked = {
        "pixels": [job.pixels for job in jobs],
        "files": [job.files for job in jobs],
        "heap": [job.heap for job in jobs if job.heap is not None],
    }
    leaking = {name: sum(amount >= rule.minimum for amount in leaked[name]) for name, rule in _RULES.items()}
    confidence = {name: _confidence(rule, leaking[name], len(leaked[name])) for name, rule in _RULES.items()}
    worst = max(_RULES, key=lambda name: _ORDER.index(confidence[name]))
    # Pixels in memory are on the heap, those on disk are not. The median leaves out caches that one job filled.
    leaked_bytes = max(fmean(leaked["pixels"]), median(leaked["heap"] or [0]))
    return Finding(
        drawing_format,
        engine,
        confidence[worst],
        worst,
        len(leaked[worst]),
        leaking[worst],
        leaked_bytes=round(leaked_bytes),
        leaked_files=round(fmean(leaked["files"]), 3),
    )


def _confidence(rule: _Rule, leaking_jobs: int, jobs: int) -> Confidence:
    """The confidence that one resource leaks."""
    if leaking_jobs >= MIN_LEAKING_JOBS and leaking_jobs >= jobs * rule.share / 2:
        certain = jobs >= rule.jobs and leaking_jobs >= jobs * rule.share
        return Confidence.CERTAIN if certain else Confidence.SUSPECTED
    return Confidence.CLEAN if jobs >= rule.jobs else Confidence.UNKNOWN
