"""When a child is recycled, and when it may continue."""

import os

import pytest

from workers.runtime.extensions.recycling import ChildLifetime, RecyclingPolicy, reason_to_recycle

MIB = 1024**2
POLICY = RecyclingPolicy(max_age=3600, max_growth=64 * MIB, max_left_open=256)


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("age", "growth", "left_open", "reason"),
    [
        (3600.0, 64 * MIB, 256, ""),
        (0.0, -5 * MIB, -1, ""),
        (1.0, 71 * MIB, 0, "It uses 71 MiB more than when it started."),
        (1.0, 0, 300, "Its jobs left 300 files open."),
        (3600.6, 0, 0, "It is 3601 s old."),
        (3601.0, 65 * MIB, 257, "It uses 65 MiB more than when it started."),
    ],
)
def test_given_several_reasons_then_growth_comes_first(age: float, growth: int, left_open: int, reason: str) -> None:
    assert reason_to_recycle(POLICY, age=age, growth=growth, left_open=left_open) == reason


def test_given_a_finished_large_job_then_its_peak_does_not_count() -> None:
    lifetime = ChildLifetime(RecyclingPolicy(max_age=3600, max_growth=32 * MIB))
    ballast = bytearray(128 * MIB)
    ballast[::4096] = b"x" * len(ballast[::4096])
    del ballast

    assert lifetime.recycle_reason() == ""


def test_given_freed_small_blocks_then_memory_that_the_allocator_retains_does_not_count() -> None:
    lifetime = ChildLifetime(RecyclingPolicy(max_age=3600, max_growth=32 * MIB))
    pieces = [bytes(10_000) for _ in range(10_000)]
    keeper = bytes(10_000)  # follows the others, so that the heap cannot shrink by itself
    del pieces

    assert lifetime.recycle_reason() == ""
    assert len(keeper) == 10_000


def test_given_leaked_memory_then_the_child_is_recycled() -> None:
    lifetime = ChildLifetime(RecyclingPolicy(max_age=3600, max_growth=32 * MIB))
    leak = bytearray(48 * MIB)
    leak[::4096] = b"x" * len(leak[::4096])

    assert lifetime.recycle_reason().endswith(" MiB more than when it started.")


def test_given_files_left_open_then_the_child_is_recycled() -> None:
    lifetime = ChildLifetime(RecyclingPolicy(max_age=3600, max_growth=64 * MIB, max_left_open=8))
    leaked = [os.open(os.devnull, os.O_RDONLY) for _ in range(9)]
    try:
        assert lifetime.recycle_reason() == "Its jobs left 9 files open."
    finally:
        for file in leaked:
            os.close(file)


def test_given_an_old_child_then_it_is_recycled() -> None:
    clock = Clock()
    lifetime = ChildLifetime(RecyclingPolicy(max_age=60, max_growth=64 * MIB), clock)
    clock.now += 60
    assert lifetime.recycle_reason() == ""

    clock.now += 2

    assert lifetime.recycle_reason() == "It is 62 s old."
