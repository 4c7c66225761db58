"""Leak detection from what jobs leave behind in their processes."""

import random

from tasks.jobs import Attempt, Outcome
from tasks.jobs.leak_detection import Confidence, Residue, find_leaks, residues

MIB = 1024**2


def jobs(pixels: list[int], *, files: list[int] | None = None, heap: list[int | None] | None = None) -> list[Residue]:
    """The residues of jobs; those without `heap` were not sampled."""
    return [
        Residue("dxf", "3", left, files[number] if files else 0, heap[number] if heap else None)
        for number, left in enumerate(pixels)
    ]


def clean_heap(rng: random.Random) -> int:
    """What a repeated clean render leaves on the heap as measured: some kilobytes, now and then a thread's cache."""
    return rng.randrange(-2_000, 20_000) + (rng.random() < 0.3) * rng.randrange(237_000)


def test_clean_jobs_are_never_suspected() -> None:
    rng = random.Random(1)
    for _ in range(300):
        count = rng.randrange(5, 200)
        sampled = [clean_heap(rng) if rng.random() < 0.1 else None for _ in range(count)]

        (finding,) = find_leaks(jobs([0] * count, heap=sampled))

        assert finding.confidence in (Confidence.CLEAN, Confidence.UNKNOWN)
        assert not finding.is_suspected


def test_given_an_image_that_every_job_leaks_then_the_leak_is_certain_and_its_size_known() -> None:
    (finding,) = find_leaks(jobs([282_752] * 24))

    assert (finding.confidence, finding.resource, finding.jobs, finding.leaking_jobs) == (
        Confidence.CERTAIN,
        "pixels",
        24,
        24,
    )
    assert finding.leaked_bytes == 282_752
    assert finding.summary.startswith("24 of 24 renders of dxf left memory or files behind: ")


def test_given_an_image_that_one_job_in_ten_leaks_then_the_leak_is_certain_because_pixels_are_counted_exactly() -> None:
    (finding,) = find_leaks(jobs([240_000 if number % 10 == 0 else 0 for number in range(50)]))

    assert (finding.confidence, finding.resource, finding.leaking_jobs) == (Confidence.CERTAIN, "pixels", 5)


def test_heap_that_most_sampled_jobs_leak_is_certain_and_heap_that_a_third_leaks_is_suspected() -> None:
    every = find_leaks(jobs([0] * 100, heap=[MIB if number % 10 == 0 else None for number in range(100)]))
    third = find_leaks(jobs([0] * 9, heap=[MIB * (number % 3 == 0) for number in range(9)]))

    assert (every[0].confidence, every[0].resource, every[0].leaked_bytes) == (Confidence.CERTAIN, "heap", MIB)
    assert (every[0].jobs, every[0].leaking_jobs) == (10, 10)
    assert (third[0].confidence, third[0].resource) == (Confidence.SUSPECTED, "heap")


def test_given_files_that_every_job_leaves_open_then_the_leak_is_certain() -> None:
    (finding,) = find_leaks(jobs([0] * 30, files=[1] * 30))

    assert (finding.confidence, finding.resource, finding.leaked_files) == (Confidence.CERTAIN, "files", 1)
    assert finding.summary.startswith("30 of 30 renders of dxf left memory or files behind: 1.00 open files per job")


def test_a_job_that_closes_more_files_than_it_opens_is_no_leak() -> None:
    assert find_leaks(jobs([0] * 30, files=[-1] * 30))[0].confidence is Confidence.CLEAN


def test_few_jobs_allow_a_suspicion_and_too_few_allow_none() -> None:
    few = find_leaks(jobs([0] * 5, heap=[MIB] * 5))
    none = find_leaks(jobs([0] * 2, heap=[MIB] * 2))

    assert (few[0].confidence, few[0].jobs) == (Confidence.SUSPECTED, 5)
    assert (none[0].confidence, none[0].leaking_jobs) == (Confidence.UNKNOWN, 0)


def test_formats_and_engine_versions_are_judged_separately_and_the_worst_comes_first() -> None:
    mixed = [
        Residue("pdf" if number % 2 else "svg", "3" if number < 60 else "4", number % 2 * (number >= 60) * MIB, 0)
        for number in range(120)
    ]

    assert [(one.format, one.engine, one.confidence) for one in find_leaks(mixed)] == [
        ("pdf", "4", Confidence.CERTAIN),
        ("pdf", "3", Confidence.CLEAN),
        ("svg", "3", Confidence.CLEAN),
        ("svg", "4", Confidence.CLEAN),
    ]


def test_attempts_without_recorded_residues_are_skipped() -> None:
    facts = {"pixel_bytes": 6, "descriptor_growth": 7, "engine": "3"}
    recorded = Attempt("1", 1, "host:1:2", 3.0, Outcome.SUCCEEDED, facts=facts)
    sampled = Attempt("2", 1, "host:1:2", 4.0, Outcome.SUCCEEDED, facts={**facts, "heap_leaked_bytes": 8})
    other = Attempt("3", 1, "host:1:2", 5.0, Outcome.SUCCEEDED, facts={"seconds": 1})

    assert list(residues([("", recorded), ("dxf", sampled), ("dxf", other)])) == [
        Residue("unknown", "3", 6, 7),
        Residue("dxf", "3", 6, 7, 8),
    ]
