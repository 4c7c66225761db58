"""When a process must be stopped, and for what reason."""

from dataclasses import replace

import pytest

from workers.sandbox.causes import Cause
from workers.sandbox.watch import INTERVAL, MAX_THREADS, Limits, Measurement, Watch, time_limit_death

LIMITS = Limits(memory=100, cpu=60, idle=10, wall=600, disk=1024)
BUSY = Measurement(at=1, resident=50, cpu=1, threads=5, is_waiting=False, has_memory_limit=False)
WAITING = replace(BUSY, cpu=0, is_waiting=True)


def reason(measurement: Measurement, limits: Limits = LIMITS) -> tuple[Cause, str] | None:
    death = Watch(limits, 5000, 0).stop_reason(measurement)
    return None if death is None else (death.cause, death.explanation)


def idle(watch: Watch, *, start: float, seconds: float, step: float = INTERVAL, cpu: float = 0) -> Cause | None:
    """The reason after `seconds` of waiting, measured every `step` seconds."""
    for number in range(1, round(seconds / step) + 1):
        if death := watch.stop_reason(replace(WAITING, at=start + number * step, cpu=cpu)):
            return death.cause
    return None


@pytest.mark.parametrize(
    ("measurement", "expected"),
    [
        (BUSY, None),
        (replace(BUSY, resident=100, cpu=59.9, threads=MAX_THREADS, disk=1024, reported_bytes=5000), None),
        (
            replace(BUSY, resident=101),
            (Cause.OUT_OF_MEMORY, "It was stopped because its resident set exceeded the memory limit."),
        ),
        (replace(BUSY, resident=101, has_memory_limit=True), None),
        (
            replace(BUSY, at=300, cpu=60),
            (Cause.TIME_LIMIT, "The process reached its time limit of 60 s of processor time, after 300 s."),
        ),
        (
            replace(BUSY, at=600, cpu=7),
            (
                Cause.STARVED,
                "The process was stopped after 600 s, in which the host gave it 7 s of processor time.",
            ),
        ),
        (
            replace(BUSY, threads=MAX_THREADS + 1),
            (Cause.QUOTA, "The process was stopped because it started more than 128 threads."),
        ),
        (
            replace(BUSY, disk=1025),
            (Cause.QUOTA, "The process was stopped because it wrote more than 1.0 KiB to disk."),
        ),
        (
            replace(BUSY, reported_bytes=5001),
            (Cause.QUOTA, "The process was stopped because it reported more than 4.9 KiB of progress."),
        ),
    ],
)
def test_given_a_measurement_then_the_process_is_stopped_for_what_it_did(
    measurement: Measurement, expected: tuple[Cause, str] | None
) -> None:
    assert reason(measurement) == expected


def test_given_several_reasons_then_those_of_the_process_come_before_those_of_the_host() -> None:
    assert reason(replace(BUSY, at=600, cpu=60)) == reason(replace(BUSY, at=600, cpu=60, disk=2000))
    assert reason(replace(BUSY, at=600, cpu=60, resident=101)) == reason(replace(BUSY, resident=101))


def test_given_a_process_that_waits_for_the_idle_limit_then_it_is_hung() -> None:
    watch = Watch(LIMITS, 5000, 0)
    assert idle(watch, start=0, seconds=9.5) is None
    assert idle(watch, start=9.5, seconds=1) is Cause.HUNG


@pytest.mark.parametrize(
    "sign_of_life",
    [{"cpu": 0.01}, {"reported_bytes": 1}, {"is_waiting": False}],
    ids=["it computed", "it reported", "it waits for a processor or a disk"],
)
def test_given_a_sign_of_life_then_the_idle_time_starts_again(sign_of_life: dict[str, float]) -> None:
    watch = Watch(LIMITS, 5000, 0)
    assert idle(watch, start=0, seconds=9.5) is None
    assert watch.stop_reason(replace(WAITING, at=9.55, **sign_of_life)) is None  # type: ignore[arg-type]
    assert idle(watch, start=9.55, seconds=9.5, cpu=sign_of_life.get("cpu", 0)) is None
    assert idle(watch, start=19.1, seconds=1, cpu=sign_of_life.get("cpu", 0)) is Cause.HUNG


def test_given_a_host_that_was_frozen_then_that_time_is_not_idle_time() -> None:
    watch = Watch(LIMITS, 5000, 0)
    assert idle(watch, start=0, seconds=9) is None
    assert watch.stop_reason(replace(WAITING, at=500)) is None
    assert idle(watch, start=500, seconds=0.5) is None
    assert idle(watch, start=500.5, seconds=1) is Cause.HUNG


def test_given_a_supervisor_that_rarely_runs_then_idle_time_counts_as_little() -> None:
    watch = Watch(replace(LIMITS, wall=1e9), 5000, 0)
    assert idle(watch, start=0, seconds=90, step=1) is None
    assert idle(watch, start=90, seconds=20, step=1) is Cause.HUNG


def test_given_a_time_limit_then_the_predicate_continues_a_sentence() -> None:
    assert time_limit_death(300, 412.4).predicate == (
        "was stopped at its time limit of 300 s of processor time, after 412 s,"
    )
