"""From samples to a verdict. Pure.

Memory is lost when it is lost again and again: in every quarter of the hunt after the warm-up. What a cache takes until
it is full, a table that is built at the hundredth job, a pool that turns over: all these miss a quarter. The resident
set decides nothing by its slope, which rises in one clean run of three.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median

from leaks.samples import LAG, Samples

QUARTERS = 4

# Heap bytes a job that only the collector frees and that matter: it counts objects, not the pictures behind them, so
# some hundred jobs' worth may pile up before it runs.
WAITING_BYTES = 64 * 1024

# Growth of the resident set that can be fragmentation, if malloc_trim gives most of it back (bytes).
FRAGMENTED_BYTES = 4 * 1024**2

# Jobs with survivors that are more than an accident.
MIN_JOBS_WITH_SURVIVORS = 3


class VerdictKind(StrEnum):
    """What a hunt found."""

    CLEAN = "clean"
    LEAK = "leak"
    SPILL = "spill"
    PYTHON = "python"
    FRAGMENTATION = "fragmentation"
    GROWTH = "growth"

    @property
    def is_fault(self) -> bool:
        """Whether somebody has to mend something: growth that has stopped is none."""
        return self not in {VerdictKind.CLEAN, VerdictKind.GROWTH}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`what` names the gauge that decided; `per_job` is its growth a job (bytes, or descriptors, or Python's blocks).

    `blocks` are heap blocks a job where they were counted. `jobs` are those in which it appeared, of `measured`.
    """

    kind: VerdictKind
    decided_by: str
    explanation: str
    per_job: float = 0
    blocks_per_job: float = 0
    appeared_in: tuple[int, ...] = ()
    measured: int = 0


def judge(samples: Samples) -> Verdict:
    """The first class that holds, the most telling first."""
    for verdict in _verdicts(samples):
        return verdict
    return Verdict(VerdictKind.CLEAN, "live", _clean_explanation(samples), measured=len(measured_jobs(samples)))


def measured_jobs(samples: Samples) -> range:
    """Jobs that count, from 1: after the warm-up, and old enough at the end to tell what they left."""
    return range(samples.warm_up + 1, samples.jobs - LAG + 1)


def _verdicts(samples: Samples) -> Iterator[Verdict]:
    jobs = measured_jobs(samples)
    for name, words in _SPILLS.items():
        if verdict := _steady_growth_verdict(samples, name, VerdictKind.SPILL, words):
            yield verdict
    if verdict := _steady_growth_verdict(
        samples, "python", VerdictKind.PYTHON, "Python objects stay: {amount:,.1f} blocks a job"
    ):
        yield verdict
    if samples.kept_bytes:
        births = [job for job in jobs if samples.kept_blocks[job - 1] > 0]
        if recurs_in_every_quarter(births, jobs):
            yield _survivor_verdict(samples, births, jobs)
    if verdict := _steady_growth_verdict(
        samples, "live", VerdictKind.LEAK, "the heap grows by {amount:,.1f} bytes a job"
    ):
        yield verdict
    waiting = median(samples.waiting[job - 1] for job in jobs)
    if waiting >= WAITING_BYTES:
        why = f"Cycles of Python objects hold {waiting:,.0f} bytes of heap a job until the collector happens to run."
        yield Verdict(VerdictKind.PYTHON, "waiting", why, waiting, appeared_in=tuple(jobs), measured=len(jobs))
    if verdict := _fragmentation_verdict(samples, jobs):
        yield verdict
    if verdict := _stopped_growth_verdict(samples, jobs):
        yield verdict


# A mapped cache counts as disk, too, and one on disk has a descriptor: the cause comes before its effects.
_SPILLS = {
    "map": "pixel caches stay in mapped files: {amount:,.0f} bytes a job",
    "disk": "pixel caches stay on disk: {amount:,.0f} bytes a job",
    "descriptors": "descriptors stay open: {amount:,.2f} a job",
}


def _survivor_verdict(samples: Samples, births: list[int], jobs: range) -> Verdict:
    kept = sum(samples.kept_bytes[job - 1] for job in births)
    blocks = sum(samples.kept_blocks[job - 1] for job in births)
    each = f"{_count(kept / len(births), 'byte')} in {_count(blocks / len(births), 'block')}"
    why = f"{each}, born in {len(births)} of {len(jobs)} jobs, were never freed."
    return Verdict(
        VerdictKind.LEAK,
        "survivors",
        why,
        kept / len(jobs),
        blocks / len(jobs),
        appeared_in=tuple(births),
        measured=len(jobs),
    )


def _steady_growth_verdict(samples: Samples, name: str, kind: VerdictKind, words: str) -> Verdict | None:
    jobs = measured_jobs(samples)
    series: list[int] = [getattr(samples, name)[job - 1] for job in jobs]
    if not grows_steadily(series):
        return None
    rise = min(_quarter(series, QUARTERS - 1)) - min(_quarter(series, 0))
    amount = rise / (len(series) * (QUARTERS - 1) // QUARTERS)  # from the start of the first to that of the last
    sentence = words.format(amount=amount)
    why = f"{sentence[0].upper()}{sentence[1:]}, in each quarter of {len(jobs)} jobs."
    return Verdict(kind, name, why, amount, appeared_in=jobs_with_growth(series, jobs), measured=len(jobs))


def _fragmentation_verdict(samples: Samples, jobs: range) -> Verdict | None:
    before, after = samples.trimmed
    grown = samples.resident[jobs[-1] - 1] - samples.resident[jobs[0] - 1]
    if grown < FRAGMENTED_BYTES or before - after < grown / 2:
        return None
    why = f"Nothing is lost, yet memory grew by {grown:,} bytes; malloc_trim gave {before - after:,} back."
    return Verdict(VerdictKind.FRAGMENTATION, "resident", why, grown / len(jobs), measured=len(jobs))


def _stopped_growth_verdict(samples: Samples, jobs: range) -> Verdict | None:
    if samples.kept_bytes:
        births = [job for job in jobs if samples.kept_blocks[job - 1] > 0]
        grown = sum(samples.kept_bytes[job - 1] for job in births)
    else:
        series = [samples.live[job - 1] for job in jobs]
        births = list(jobs_with_growth(series, jobs))
        grown = series[-1] - series[0]
    if len(births) < MIN_JOBS_WITH_SURVIVORS or grown <= 0:
        return None
    why = f"{grown:,} bytes stayed of {len(births)} jobs, the last of them job {births[-1]} of {samples.jobs}."
    return Verdict(VerdictKind.GROWTH, "live", why, grown / len(jobs), appeared_in=tuple(births), measured=len(jobs))


def recurs_in_every_quarter(births: Sequence[int], jobs: range) -> bool:
    """Whether jobs that left something lie in each quarter but the first, which may be late warm-up."""
    return len(births) >= MIN_JOBS_WITH_SURVIVORS and all(
        any(job in quarter for job in births) for quarter in (_quarter(jobs, number) for number in range(1, QUARTERS))
    )


def grows_steadily(series: Sequence[int]) -> bool:
    """Whether the level is higher in each quarter, rises within the last, and none reaches down to the one before last.

    The level is a quarter's lowest number. Noise passes once in some ten thousand hunts: of two quarters of ten random
    numbers, all of one lie above all of the other once in 184,756 (20 choose 10).
    """
    quarters = [_quarter(series, number) for number in range(QUARTERS)]
    levels = [min(quarter) for quarter in quarters]
    climbs = all(low < high for low, high in pairwise(levels))
    apart = all(max(early) <= min(late) for early, late in zip(quarters, quarters[2:], strict=False))
    return climbs and apart and any(job in _quarter(range(len(series)), QUARTERS - 1) for job in _steps(series))


def jobs_with_growth(series: Sequence[int], jobs: range) -> tuple[int, ...]:
    """Jobs after which the level was higher for good: the lowest number from there on exceeds all that led up to it."""
    return tuple(jobs[index] for index in _steps(series))


def _steps(series: Sequence[int]) -> list[int]:
    floor = list(series)
    for index in range(len(floor) - 2, -1, -1):
        floor[index] = min(floor[index], floor[index + 1])
    return [index for index in range(1, len(floor)) if floor[index] > floor[index - 1]]


def _count(amount: float, noun: str) -> str:
    return f"{round(amount, 1):,g} {noun}{'' if amount == 1 else 's'}"


def _quarter(series: Sequence[int], number: int) -> Sequence[int]:
    length = len(series)
    return series[length * number // QUARTERS : length * (number + 1) // QUARTERS]


def _clean_explanation(samples: Samples) -> str:
    jobs = measured_jobs(samples)
    if samples.kept_bytes:
        left = sum(samples.kept_bytes[job - 1] for job in jobs)
        return f"{left:,} bytes left behind by {len(jobs)} jobs."
    change = samples.live[jobs[-1] - 1] - samples.live[jobs[0] - 1]
    return f"The heap changed by {change:,} bytes over {len(jobs)} jobs."
