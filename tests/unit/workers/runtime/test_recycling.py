"""When a child is replaced, and when it may stay."""

import os

import pytest

from workers.runtime.recycling import Allowance, Lifetime, why_replace

MIB = 1024**2
ALLOWANCE = Allowance(seconds=3600, growth=64 * MIB, left_open=256)


class Clock:
    """Time that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("age", "growth", "left_open", "reason"),
    [
        (3600.0, 64 * MIB, 256, ""),
        (0.0, -5 * MIB, -1, ""),
        (1.0, 71 * MIB, 0, "It holds 71 MB more than when it began."),
        (1.0, 0, 300, "Its jobs left 300 files open."),
        (3600.6, 0, 0, "It is 3601 s old."),
        (3601.0, 65 * MIB, 257, "It holds 65 MB more than when it began."),
    ],
)
def test_the_reason_is_a_sentence_and_growth_comes_first(age: float, growth: int, left_open: int, reason: str) -> None:
    assert why_replace(ALLOWANCE, age=age, growth=growth, left_open=left_open) == reason


def test_given_a_large_job_that_is_over_then_its_peak_does_not_count() -> None:
    lifetime = Lifetime(Allowance(seconds=3600, growth=32 * MIB))
    held = bytearray(128 * MIB)
    held[::4096] = b"x" * len(held[::4096])
    del held

    assert lifetime.over() == ""


def test_given_memory_in_small_pieces_that_is_free_again_then_what_the_allocator_keeps_does_not_count() -> None:
    lifetime = Lifetime(Allowance(seconds=3600, growth=32 * MIB))
    pieces = [bytes(10_000) for _ in range(10_000)]
    keeper = bytes(10_000)  # it lies after the others and keeps the heap from shrinking by itself
    del pieces

    assert lifetime.over() == ""
    assert len(keeper) == 10_000


def test_given_memory_that_a_job_leaves_behind_then_the_child_must_go() -> None:
    lifetime = Lifetime(Allowance(seconds=3600, growth=32 * MIB))
    leak = bytearray(48 * MIB)
    leak[::4096] = b"x" * len(leak[::4096])

    assert lifetime.over().endswith(" MB more than when it began.")


def test_given_files_that_jobs_left_open_then_the_child_must_go() -> None:
    lifetime = Lifetime(Allowance(seconds=3600, growth=64 * MIB, left_open=8))
    leaked = [os.open(os.devnull, os.O_RDONLY) for _ in range(9)]
    try:
        assert lifetime.over() == "Its jobs left 9 files open."
    finally:
        for file in leaked:
            os.close(file)


def test_given_a_child_of_age_then_it_must_go() -> None:
    clock = Clock()
    lifetime = Lifetime(Allowance(seconds=60, growth=64 * MIB), clock)
    clock.now += 60
    assert lifetime.over() == ""

    clock.now += 2

    assert lifetime.over() == "It is 62 s old."
