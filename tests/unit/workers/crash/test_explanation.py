"""A death in one sentence."""

from signal import Signals

import pytest

from workers.crash.causes import Cause, Death, classify
from workers.crash.explanation import crash_facts, format_crash, plan_error
from workers.crash.flight_recorder import FlightRecord
from workers.sandbox.cgroup import CgroupMemory, MemoryPressure

MIB = 1024**2
RECORD = FlightRecord("j", 2, "encode", "PIPES", planned=120 * MIB, resident=505 * MIB, peak=506 * MIB)


def test_a_death_is_told_with_size_place_and_plan() -> None:
    sentence = "Attempt 2 was killed by the kernel at 505 MB while encoding layer PIPES (planned 120 MB)."
    assert format_crash(classify(-Signals.SIGKILL, oom_kills=1), RECORD) == sentence


@pytest.mark.parametrize(
    ("death", "did"),
    [
        (classify(-Signals.SIGKILL), "was killed from outside with SIGKILL"),
        (classify(-Signals.SIGSEGV), "crashed in native code with SIGSEGV"),
        (classify(7), "ended when native code left the process with exit code 7,"),
        (classify(0, time_limit=300), "was stopped at its time limit of 300 s,"),
    ],
)
def test_every_other_cause_is_told_likewise(death: Death, did: str) -> None:
    assert format_crash(death, RECORD) == f"Attempt 2 {did} at 505 MB while encoding layer PIPES (planned 120 MB)."


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (FlightRecord("j", 1), "Attempt 1 was stopped at its time limit of 5 s."),
        (
            FlightRecord("j", 1, "plan", resident=90 * MIB),
            "Attempt 1 was stopped at its time limit of 5 s, at 90 MB while planning.",
        ),
        (
            FlightRecord("j", 1, "tiles", "0", resident=90 * MIB),
            "Attempt 1 was stopped at its time limit of 5 s, at 90 MB while cutting tiles of layer 0.",
        ),
        (
            FlightRecord("j", 1, "dry {x}", "{y}", resident=90 * MIB),
            "Attempt 1 was stopped at its time limit of 5 s, at 90 MB while at dry {x}, layer {y}.",
        ),
    ],
)
def test_what_is_not_known_is_left_out(record: FlightRecord, sentence: str) -> None:
    assert format_crash(classify(0, time_limit=5), record) == sentence


def test_without_a_record_the_death_tells_its_own_story() -> None:
    death = classify(-Signals.SIGKILL, oom_kills=1)
    assert format_crash(death, None) == "The kernel killed it: it needed more memory than its fence allows."
    assert format_crash(Death(Cause.OUT_OF_MEMORY, "It was stopped."), RECORD) == "It was stopped."


def test_programs_are_told_the_same_in_bytes() -> None:
    memory = CgroupMemory(
        510 * MIB, 512 * MIB, 512 * MIB, {"max": 9, "oom_kill": 1}, MemoryPressure(some=12.5, full=3.0)
    )

    assert crash_facts(RECORD, memory) == {
        "stage": "encode",
        "layer": "PIPES",
        "resident_bytes": 505 * MIB,
        "peak_bytes": 506 * MIB,
        "planned_bytes": 120 * MIB,
        "plan_error": 3.217,
        "cgroup": {
            "current_bytes": 510 * MIB,
            "peak_bytes": 512 * MIB,
            "limit_bytes": 512 * MIB,
            "events": {"max": 9, "oom_kill": 1},
            "pressure": {"some": 12.5, "full": 3.0},
        },
    }


def test_without_a_record_the_cgroup_alone_is_told() -> None:
    told = crash_facts(None, CgroupMemory())
    assert told == {
        "cgroup": {"current_bytes": None, "peak_bytes": None, "limit_bytes": None, "events": {}, "pressure": None}
    }


def test_a_plan_is_off_by_what_was_needed_beyond_it() -> None:
    assert plan_error(100, 150) == 0.5
    assert plan_error(100, 50) == -0.5
