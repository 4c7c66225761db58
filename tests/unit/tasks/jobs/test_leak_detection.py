"""Leak detection from the resources that workers hold after their jobs."""

import random

from tasks.jobs import Attempt, Outcome
from tasks.jobs.leak_detection import WARM_UP, Confidence, Residue, find_leaks, residues

MIB = 1024**2


def child(
    name: str,
    heap: list[int],
    *,
    pixels: list[int] | None = None,
    files: list[int] | None = None,
    profiled: tuple[int, ...] = (),
) -> list[Residue]:
    """The residues of one child after each of its jobs."""
    return [
        Residue(
            name,
            float(number),
            "dxf",
            "3",
            pixels[number] if pixels else 0,
            level,
            files[number] if files else 12,
            number in profiled,
        )
        for number, level in enumerate(heap)
    ]


def clean_heap(rng: random.Random, jobs: int) -> list[int]:
    """The heap of clean workers as measured: growing caches, a thread cache, now and then some megabytes, and noise."""
    level, levels = 18 * MIB, []
    for number in range(jobs):
        level += rng.randrange(0, 60_000 // (number + 1) + 4_000)
        level += (rng.random() < 0.5) * rng.randrange(240_000)
        level += (rng.random() < 0.04) * 4 * MIB
        levels.append(level + rng.randrange(20_000))
    return levels


def test_clean_workers_are_never_suspected() -> None:
    rng = random.Random(1)
    for _ in range(300):
        jobs = [one for name in "abcd" for one in child(name, clean_heap(rng, rng.randrange(5, 51)))]

        assert not [one for one in find_leaks(jobs) if one.is_suspected]


def test_given_an_image_that_every_job_leaks_then_the_leak_is_certain_and_its_size_known() -> None:
    rng = random.Random(2)
    jobs = [
        one
        for name in "abc"
        for one in child(
            name,
            [level + 284_032 * number for number, level in enumerate(clean_heap(rng, 12))],
            pixels=[240_000 * (number + 1) for number in range(12)],
        )
    ]

    (finding,) = find_leaks(jobs)

    assert (finding.confidence, finding.resource, finding.jobs, finding.leaking_jobs) == (
        Confidence.CERTAIN,
        "pixels",
        24,
        24,
    )
    assert 240_000 <= finding.leaked_bytes < 320_000
    assert finding.summary.startswith("24 of 24 renders of dxf left memory or files behind: ")


def test_given_an_image_that_one_job_in_ten_leaks_then_the_leak_is_certain_because_pixels_are_counted_exactly() -> None:
    pixels = [240_000 * (number // 10) for number in range(50)]

    (finding,) = find_leaks(child("a", [20 * MIB] * 50, pixels=pixels))

    assert (finding.confidence, finding.resource, finding.leaking_jobs) == (Confidence.CERTAIN, "pixels", 4)


def test_heap_that_most_jobs_leak_is_certain_and_heap_that_a_third_leaks_is_suspected() -> None:
    every = find_leaks(child("a", [MIB * number for number in range(30)]))
    third = find_leaks(child("a", [MIB * (number // 3) for number in range(30)]))

    assert (every[0].confidence, every[0].resource, every[0].leaked_bytes) == (Confidence.CERTAIN, "heap", MIB)
    assert (third[0].confidence, third[0].resource) == (Confidence.SUSPECTED, "heap")


def test_given_files_that_every_job_leaves_open_then_the_leak_is_certain() -> None:
    (finding,) = find_leaks(child("a", [20 * MIB] * 30, files=list(range(30))))

    assert (finding.confidence, finding.resource, finding.leaked_files) == (Confidence.CERTAIN, "files", 1)
    assert finding.summary.startswith("26 of 26 renders of dxf left memory or files behind: 1.00 open files per job")


def test_memory_that_later_jobs_free_is_no_leak() -> None:
    ring = [240_000 * (2 + number % 2) for number in range(40)]

    assert find_leaks(child("a", ring, pixels=ring))[0].confidence is Confidence.CLEAN


def test_few_jobs_allow_a_suspicion_and_too_few_allow_none() -> None:
    few = find_leaks(child("a", [MIB * number for number in range(WARM_UP + 5)]))
    none = find_leaks(child("a", [MIB * number for number in range(WARM_UP + 1)]))

    assert few[0].confidence is Confidence.SUSPECTED
    assert (none[0].confidence, none[0].jobs) == (Confidence.UNKNOWN, 0)


def test_a_profiled_job_is_not_judged_and_the_memory_of_the_profiler_is_no_leak() -> None:
    heap = [20 * MIB] * 10 + [40 * MIB] * 10 + [60 * MIB] * 10

    (finding,) = find_leaks(child("a", heap, profiled=(10, 20)))

    assert (finding.confidence, finding.leaking_jobs, finding.jobs) == (Confidence.CLEAN, 0, 24)


def test_formats_of_one_child_are_judged_separately_and_the_worst_comes_first() -> None:
    heap = [MIB * (number // 2) for number in range(100)]
    mixed = [
        Residue(one.child, one.started_at, "svg" if number % 2 else "pdf", "3", 0, one.heap, 12)
        for number, one in enumerate(child("a", heap))
    ]

    assert [(one.format, one.confidence) for one in find_leaks(mixed)] == [
        ("pdf", Confidence.CERTAIN),
        ("svg", Confidence.CLEAN),
    ]


def test_attempts_without_recorded_residues_are_skipped() -> None:
    facts = {"heap_bytes": 5, "pixel_bytes": 6, "open_files": 7, "engine": "3"}
    recorded = Attempt("1", 1, "host:1:2", 3.0, Outcome.SUCCEEDED, facts=facts)
    older = Attempt("2", 1, "host:1:2", 3.0, Outcome.SUCCEEDED, facts={"seconds": 1})

    assert list(residues([("", recorded), ("dxf", older)])) == [Residue("host:1:2", 3.0, "unknown", "3", 6, 5, 7)]
