"""From measurements to a verdict. Pure.

A leak is memory that is lost repeatedly: in every quarter of the hunt after the warm-up. A cache that fills up, a table
that is built at the hundredth job and a pool that recycles its entries all miss a quarter. The slope of the resident
set is not used: it rises in one clean run out of three.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median

from leaks.measurements import LAG, Measurements

QUARTERS = 4

# Heap bytes per job that matter if only the garbage collector frees them. It counts objects and not the pixels behind
# them, so those of several hundred jobs may accumulate before it runs.
WAITING_BYTES = 64 * 1024

# Growth of the resident set that counts as fragmentation if malloc_trim returns most of it (bytes).
FRAGMENTED_BYTES = 4 * 1024**2

# Fewer jobs with survivors are coincidence.
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
        """Whether there is something to fix; growth that has stopped is not a fault."""
        return self not in {VerdictKind.CLEAN, VerdictKind.GROWTH}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`decided_by` names the probe; `per_job` is its growth per job (bytes, descriptors or Python's blocks).

    `blocks_per_job` is the number of heap blocks, if they were counted. `appeared_in` are the jobs that leaked, out of
    `measured` jobs.
    """

    kind: VerdictKind
    decided_by: str
    explanation: str
    per_job: float = 0
    blocks_per_job: float = 0
    appeared_in: tuple[int, ...] = ()
    measured: int = 0


def judge(measurements: Measurements) -> Verdict:
    """The first verdict that applies, the most specific first."""
    for verdict in _verdicts(measurements):
        return verdict
    return Verdict(
        VerdictKind.CLEAN, "live", _clean_explanation(measurements), measured=len(measured_jobs(measurements))
    )


def measured_jobs(measurements: Measurements) -> range:
    """Jobs that count, starting at 1: those after the warm-up that are old enough at the end."""
    return range(measurements.warm_up + 1, measurements.jobs - LAG + 1)


def _verdicts(measurements: Measurements) -> Iterator[Verdict]:
    jobs = measured_jobs(measurements)
    for name, template in _SPILLS.items():
        if verdict := _steady_growth_verdict(measurements, name, VerdictKind.SPILL, template):
            yield verdict
    if verdict := _steady_growth_verdict(
        measurements, "python", VerdictKind.PYTHON, "Python objects are kept: {amount:,.1f} blocks per job"
    ):
        yield verdict
    if measurements.kept_bytes:
        leaking = [job for job in jobs if measurements.kept_blocks[job - 1] > 0]
        if recurs_in_every_quarter(leaking, jobs):
            yield _survivor_verdict(measurements, leaking, jobs)
    if verdict := _steady_growth_verdict(
        measurements, "live", VerdictKind.LEAK, "the heap grows by {amount:,.1f} bytes per job"
    ):
        yield verdict
    waiting = median(measurements.waiting[job - 1] for job in jobs)
    if waiting >= WAITING_BYTES:
        explanation = (
            f"Cycles of Python objects keep {waiting:,.0f} bytes of heap per job until the garbage collector runs."
        )
        yield Verdict(VerdictKind.PYTHON, "waiting", explanation, waiting, appeared_in=tuple(jobs), measured=len(jobs))
    if verdict := _fragmentation_verdict(measurements, jobs):
        yield verdict
    if verdict := _stopped_growth_verdict(measurements, jobs):
        yield verdict


# In this order, because a mapped cache also counts as disk, and one on disk has a descriptor.
_SPILLS = {
    "map": "pixel caches remain in mapped files: {amount:,.0f} bytes per job",
    "disk": "pixel caches remain on disk: {amount:,.0f} bytes per job",
    "descriptors": "descriptors remain open: {amount:,.2f} per job",
}


def _survivor_verdict(measurements: Measurements, leaking: list[int], jobs: range) -> Verdict:
    leaked = sum(measurements.kept_bytes[job - 1] for job in leaking)
    blocks = sum(measurements.kept_blocks[job - 1] for job in leaking)
    each = f"{_count(leaked / len(leaking), 'byte')} in {_count(blocks / len(leaking), 'block')}"
    explanation = f"{each}, allocated in {len(leaking)} of {len(jobs)} jobs, were never freed."
    return Verdict(
        VerdictKind.LEAK,
        "survivors",
        explanation,
        leaked / len(jobs),
        blocks / len(jobs),
        appeared_in=tuple(leaking),
        measured=len(jobs),
    )


def _steady_growth_verdict(measurements: Measurements, name: str, kind: VerdictKind, template: str) -> Verdict | None:
    jobs = measured_jobs(measurements)
    series: list[int] = [getattr(measurements, name)[job - 1] for job in jobs]
    if not grows_steadily(series):
        return None
    growth = min(_quarter(series, QUARTERS - 1)) - min(_quarter(series, 0))
    amount = growth / (len(series) * (QUARTERS - 1) // QUARTERS)
    sentence = template.format(amount=amount)
    explanation = f"{sentence[0].upper()}{sentence[1:]}, in each quarter of {len(jobs)} jobs."
    return Verdict(kind, name, explanation, amount, appeared_in=jobs_with_growth(series, jobs), measured=len(jobs))


def _fragmentation_verdict(measurements: Measurements, jobs: range) -> Verdict | None:
    before, after = measurements.trimmed
    grown = measurements.resident[jobs[-1] - 1] - measurements.resident[jobs[0] - 1]
    if grown < FRAGMENTED_BYTES or before - after < grown / 2:
        return None
    explanation = (
        f"There is no leak, but memory grew by {grown:,} bytes; malloc_trim returned {before - after:,} of them."
    )
    return Verdict(VerdictKind.FRAGMENTATION, "resident", explanation, grown / len(jobs), measured=len(jobs))


def _stopped_growth_verdict(measurements: Measurements, jobs: range) -> Verdict | None:
    if measurements.kept_bytes:
        leaking = [job for job in jobs if measurements.kept_blocks[job - 1] > 0]
        grown = sum(measurements.kept_bytes[job - 1] for job in leaking)
    else:
        series = [measurements.live[job - 1] for job in jobs]
        leaking = list(jobs_with_growth(series, jobs))
        grown = series[-1] - series[0]
    if len(leaking) < MIN_JOBS_WITH_SURVIVORS or grown <= 0:
        return None
    explanation = (
        f"{len(leaking)} jobs left {grown:,} bytes, the last of them job {leaking[-1]} of {measurements.jobs}."
    )
    return Verdict(
        VerdictKind.GROWTH, "live", explanation, grown / len(jobs), appeared_in=tuple(leaking), measured=len(jobs)
    )


def recurs_in_every_quarter(leaking: Sequence[int], jobs: range) -> bool:
    """Whether jobs with survivors are in each quarter except the first, which may be late warm-up."""
    return len(leaking) >= MIN_JOBS_WITH_SURVIVORS and all(
        any(job in quarter for job in leaking) for quarter in (_quarter(jobs, number) for number in range(1, QUARTERS))
    )


def grows_steadily(series: Sequence[int]) -> bool:
    """Whether the level rises in each quarter and within the last, and each quarter is above the one before the last.

    The level is the lowest number of a quarter. Noise passes about once in ten thousand hunts: of two quarters of ten
    random numbers, one is entirely above the other once in 184,756 (20 choose 10).
    """
    quarters = [_quarter(series, number) for number in range(QUARTERS)]
    levels = [min(quarter) for quarter in quarters]
    rising = all(low < high for low, high in pairwise(levels))
    separate = all(max(early) <= min(late) for early, late in zip(quarters, quarters[2:], strict=False))
    return rising and separate and any(job in _quarter(range(len(series)), QUARTERS - 1) for job in _steps(series))


def jobs_with_growth(series: Sequence[int], jobs: range) -> tuple[int, ...]:
    """Jobs after which the level stayed higher: the lowest later number exceeds the lowest number before."""
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


def _clean_explanation(measurements: Measurements) -> str:
    jobs = measured_jobs(measurements)
    if measurements.kept_bytes:
        left = sum(measurements.kept_bytes[job - 1] for job in jobs)
        return f"{len(jobs)} jobs left {left:,} bytes."
    change = measurements.live[jobs[-1] - 1] - measurements.live[jobs[0] - 1]
    return f"The heap changed by {change:,} bytes over {len(jobs)} jobs."
