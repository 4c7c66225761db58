"""Measurements in, verdict out."""

import random

import pytest

from leaks.measurements import Measurements, warm_up_jobs
from leaks.verdict import (
    FRAGMENTED_BYTES,
    WAITING_BYTES,
    VerdictKind,
    grows_steadily,
    jobs_with_growth,
    judge,
    measured_jobs,
    recurs_in_every_quarter,
)

JOBS = 50


def measurements(jobs: int = JOBS, *, tagged: bool = False, **series: list[int]) -> Measurements:
    """Flat readings but for what is given."""
    chosen = Measurements(jobs, warm_up_jobs(jobs))
    flat = {
        name: [1000] * jobs
        for name in ("live", "resident", "descriptors", "memory", "map", "disk", "python", "nanoseconds")
    }
    survivors = {"kept_bytes": [0] * jobs, "kept_blocks": [0] * jobs} if tagged else {}
    for name, numbers in {"waiting": [0] * jobs, **flat, **survivors, **series}.items():
        setattr(chosen, name, numbers)
    return chosen


def test_given_constant_samples_then_the_verdict_is_clean() -> None:
    assert judge(measurements()).kind is VerdictKind.CLEAN
    assert judge(measurements(tagged=True)).explanation == "37 jobs left 0 bytes."


def test_given_survivors_of_each_job_then_the_verdict_is_a_leak_with_its_size() -> None:
    verdict = judge(measurements(tagged=True, kept_bytes=[284_240] * JOBS, kept_blocks=[21] * JOBS))

    assert (verdict.kind, verdict.per_job, verdict.blocks_per_job) == (VerdictKind.LEAK, 284_240, 21)
    assert verdict.explanation == "284,240 bytes in 21 blocks, allocated in 37 of 37 jobs, were never freed."
    assert verdict.appeared_in == tuple(range(11, 48))


def test_given_survivors_of_the_warm_up_and_the_last_jobs_only_then_the_verdict_is_clean() -> None:
    survivors = [100 if job <= 10 or job > 47 else 0 for job in range(1, JOBS + 1)]

    assert judge(measurements(tagged=True, kept_bytes=survivors, kept_blocks=survivors)).kind is VerdictKind.CLEAN


def test_given_a_cache_that_is_full_before_the_last_quarter_then_the_verdict_is_growth() -> None:
    survivors = [64 if job <= 30 else 0 for job in range(1, JOBS + 1)]

    verdict = judge(measurements(tagged=True, kept_bytes=survivors, kept_blocks=survivors))

    assert verdict.kind is VerdictKind.GROWTH
    assert verdict.explanation == "20 jobs left 1,280 bytes, the last of them job 30 of 50."
    assert not verdict.kind.is_fault


def test_given_a_pool_that_recycles_its_entries_then_it_is_not_a_leak() -> None:
    survivors = [64 if job > 38 else 0 for job in range(1, JOBS + 1)]

    assert judge(measurements(tagged=True, kept_bytes=survivors, kept_blocks=survivors)).kind is VerdictKind.GROWTH


def test_given_a_growing_heap_then_the_verdict_is_a_leak_with_its_growth_per_job() -> None:
    verdict = judge(measurements(live=[10_000 + 32 * job for job in range(JOBS)]))

    assert (verdict.kind, verdict.decided_by, verdict.per_job) == (VerdictKind.LEAK, "live", 32)


def test_given_a_resident_set_that_rises_and_is_not_trimmed_then_it_is_ignored() -> None:
    climbing = [job * 1024**2 for job in range(JOBS)]

    assert judge(measurements(resident=climbing)).kind is VerdictKind.CLEAN


def test_given_a_resident_set_that_malloc_trim_shrinks_then_the_verdict_is_fragmentation() -> None:
    climbing = measurements(resident=[job * 1024**2 for job in range(JOBS)])
    climbing.trimmed = (50 * 1024**2, 50 * 1024**2 - 30 * FRAGMENTED_BYTES // 4)

    assert judge(climbing).kind is VerdictKind.FRAGMENTATION


@pytest.mark.parametrize("gauge", ["map", "disk", "descriptors"])
def test_given_growth_outside_the_heap_then_the_verdict_is_spill_even_if_the_heap_leaks_too(gauge: str) -> None:
    rising = list(range(0, 10 * JOBS, 10))

    verdict = judge(measurements(JOBS, tagged=False, **{gauge: rising, "live": rising}))

    assert (verdict.kind, verdict.decided_by, verdict.per_job) == (VerdictKind.SPILL, gauge, 10)


def test_given_python_objects_that_are_kept_then_the_verdict_is_python() -> None:
    assert judge(measurements(python=list(range(0, 3 * JOBS, 3)))).explanation.startswith(
        "Python objects are kept: 3.0 blocks per job"
    )


def test_given_heap_that_waits_for_the_collector_then_the_verdict_is_python_above_a_limit() -> None:
    assert judge(measurements(waiting=[WAITING_BYTES] * JOBS)).kind is VerdictKind.PYTHON
    assert judge(measurements(waiting=[WAITING_BYTES - 1] * JOBS)).kind is VerdictKind.CLEAN


def test_given_noise_around_a_level_then_there_is_no_steady_growth() -> None:
    chance = random.Random(7)

    assert not any(grows_steadily([chance.randint(0, 1000) for _ in range(40)]) for _ in range(20_000))


def test_given_a_leak_below_noise_of_five_jobs_then_there_is_steady_growth() -> None:
    chance = random.Random(7)

    assert all(grows_steadily([100 * job + chance.randint(0, 500) for job in range(40)]) for _ in range(1000))


def test_given_one_step_or_growth_that_stops_then_there_is_no_steady_growth() -> None:
    assert not grows_steadily([0] * 20 + [100] * 20)
    assert not grows_steadily([*range(25), *[25] * 15])


def test_given_a_leak_in_one_job_of_ten_then_these_jobs_are_found() -> None:
    series = [job // 10 for job in range(48)]

    assert grows_steadily(series)
    assert jobs_with_growth(series, range(1, 49)) == (11, 21, 31, 41)


def test_given_jobs_with_survivors_then_each_quarter_except_the_first_must_have_one() -> None:
    jobs = range(1, 41)

    assert recurs_in_every_quarter([11, 21, 31], jobs)
    assert not recurs_in_every_quarter([1, 11, 21, 22, 23], jobs)
    assert not recurs_in_every_quarter([21, 31], jobs)


def test_measured_jobs_exclude_the_warm_up_and_the_last_jobs() -> None:
    assert measured_jobs(measurements(20)) == range(6, 18)
