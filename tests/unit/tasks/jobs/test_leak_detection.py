"""From what workers hold after their jobs to a verdict on each kind of drawing."""

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
    tracked: tuple[int, ...] = (),
) -> list[Residue]:
    """What one child held after each of its jobs."""
    return [
        Residue(
            name,
            float(number),
            "dxf",
            "3",
            pixels[number] if pixels else 0,
            level,
            files[number] if files else 12,
            number in tracked,
        )
        for number, level in enumerate(heap)
    ]


def clean_heap(chance: random.Random, jobs: int) -> list[int]:
    """As real workers show it: caches that grow, a thread's that fills, now and then megabytes at once; noise."""
    level, levels = 18 * MIB, []
    for number in range(jobs):
        level += chance.randrange(0, 60_000 // (number + 1) + 4_000)
        level += (chance.random() < 0.5) * chance.randrange(240_000)
        level += (chance.random() < 0.04) * 4 * MIB
        levels.append(level + chance.randrange(20_000))
    return levels


def test_workers_that_are_clean_are_never_accused() -> None:
    chance = random.Random(1)
    for _ in range(300):
        lefts = [one for name in "abcd" for one in child(name, clean_heap(chance, chance.randrange(5, 51)))]

        assert not [one for one in find_leaks(lefts) if one.is_suspected]


def test_a_clone_that_is_lost_by_every_job_is_certain_with_its_bytes() -> None:
    chance = random.Random(2)
    lefts = [
        one
        for name in "abc"
        for one in child(
            name,
            [level + 284_032 * number for number, level in enumerate(clean_heap(chance, 12))],
            pixels=[240_000 * (number + 1) for number in range(12)],
        )
    ]

    (found,) = find_leaks(lefts)

    assert (found.confidence, found.resource, found.jobs, found.leaking_jobs) == (Confidence.CERTAIN, "pixels", 24, 24)
    assert 240_000 <= found.leaked_bytes < 320_000
    assert found.summary.startswith("Renders of dxf leave ")


def test_a_clone_lost_by_one_job_in_ten_is_certain_because_pixels_are_counted_exactly() -> None:
    pixels = [240_000 * (number // 10) for number in range(50)]

    (found,) = find_leaks(child("a", [20 * MIB] * 50, pixels=pixels))

    assert (found.confidence, found.resource, found.leaking_jobs) == (Confidence.CERTAIN, "pixels", 4)


def test_heap_that_most_jobs_keep_is_certain_and_that_a_third_keeps_is_suspected() -> None:
    every = find_leaks(child("a", [MIB * number for number in range(30)]))
    third = find_leaks(child("a", [MIB * (number // 3) for number in range(30)]))

    assert (every[0].confidence, every[0].resource, every[0].leaked_bytes) == (Confidence.CERTAIN, "heap", MIB)
    assert (third[0].confidence, third[0].resource) == (Confidence.SUSPECTED, "heap")


def test_files_that_stay_open_are_certain() -> None:
    (found,) = find_leaks(child("a", [20 * MIB] * 30, files=list(range(30))))

    assert (found.confidence, found.resource, found.leaked_files) == (Confidence.CERTAIN, "files", 1)
    assert found.summary.startswith("Renders of dxf leave 1.00 open files a job behind, as 26 of 26 jobs show.")


def test_what_later_jobs_give_back_is_no_leak() -> None:
    ring = [240_000 * (2 + number % 2) for number in range(40)]

    assert find_leaks(child("a", ring, pixels=ring))[0].confidence is Confidence.CLEAN


def test_few_jobs_make_a_suspect_and_no_certainty_and_too_few_make_nothing() -> None:
    few = find_leaks(child("a", [MIB * number for number in range(WARM_UP + 5)]))
    none = find_leaks(child("a", [MIB * number for number in range(WARM_UP + 1)]))

    assert few[0].confidence is Confidence.SUSPECTED
    assert (none[0].confidence, none[0].jobs) == (Confidence.UNKNOWN, 0)


def test_a_job_under_an_observer_is_not_judged_and_what_the_observer_takes_is_charged_to_nobody() -> None:
    heap = [20 * MIB] * 10 + [40 * MIB] * 10 + [60 * MIB] * 10

    (found,) = find_leaks(child("a", heap, tracked=(10, 20)))

    assert (found.confidence, found.leaking_jobs, found.jobs) == (Confidence.CLEAN, 0, 24)


def test_kinds_are_told_apart_in_one_child_and_the_worst_comes_first() -> None:
    heap = [MIB * (number // 2) for number in range(100)]
    mixed = [
        Residue(one.child, one.started_at, "svg" if number % 2 else "pdf", "3", 0, one.heap, 12)
        for number, one in enumerate(child("a", heap))
    ]

    assert [(one.format, one.confidence) for one in find_leaks(mixed)] == [
        ("pdf", Confidence.CERTAIN),
        ("svg", Confidence.CLEAN),
    ]


def test_attempts_without_such_notes_are_left_out() -> None:
    facts = {"heap_bytes": 5, "pixel_bytes": 6, "open_files": 7, "engine": "3"}
    noted = Attempt("1", 1, "host:1:2", 3.0, Outcome.SUCCEEDED, facts=facts)
    older = Attempt("2", 1, "host:1:2", 3.0, Outcome.SUCCEEDED, facts={"seconds": 1})

    assert list(residues([("", noted), ("dxf", older)])) == [Residue("host:1:2", 3.0, "unknown", "3", 6, 5, 7)]
