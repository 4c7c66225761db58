"""A crash in one sentence."""

from signal import Signals

import pytest

from workers.crash.explanation import crash_facts, format_crash, plan_error
from workers.crash.flight_recorder import FlightRecord
from workers.sandbox.causes import Cause, Death, classify
from workers.sandbox.cgroup import CgroupMemory, MemoryPressure

MIB = 1024**2
RECORD = FlightRecord("j", 2, "encode", "PIPES", planned=120 * MIB, resident=505 * MIB, peak=506 * MIB)


def test_given_a_flight_record_then_the_sentence_has_memory_stage_and_plan() -> None:
    sentence = "Attempt 2 was killed by the kernel at 505 MiB while encoding layer PIPES (planned 120 MiB)."
    assert format_crash(classify(-Signals.SIGKILL, oom_kills=1), RECORD) == sentence


@pytest.mark.parametrize(
    ("death", "predicate"),
    [
        (classify(-Signals.SIGKILL), "was killed from outside with SIGKILL"),
        (classify(-Signals.SIGSEGV), "crashed in native code with SIGSEGV"),
        (classify(7), "failed when native code ended the process with exit code 7,"),
        (classify(0, time_limit=300), "was stopped because its worker was still busy after 300 s,"),
    ],
)
def test_given_any_other_cause_then_the_sentence_has_the_same_form(death: Death, predicate: str) -> None:
    assert (
        format_crash(death, RECORD) == f"Attempt 2 {predicate} at 505 MiB while encoding layer PIPES (planned 120 MiB)."
    )


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (FlightRecord("j", 1), "Attempt 1 was stopped because its worker was still busy after 5 s."),
        (
            FlightRecord("j", 1, "plan", resident=90 * MIB),
            "Attempt 1 was stopped because its worker was still busy after 5 s, at 90 MiB while planning.",
        ),
        (
            FlightRecord("j", 1, "tiles", "7"),
            "Attempt 1 was stopped because its worker was still busy after 5 s, while cutting tiles of layer 7.",
        ),
        (
            FlightRecord("j", 1, "dry {x}", "{y}", resident=90 * MIB),
            "Attempt 1 was stopped because its worker was still busy after 5 s, at 90 MiB while at dry {x}, layer {y}.",
        ),
    ],
)
def test_given_an_incomplete_record_then_unknown_parts_are_omitted(record: FlightRecord, sentence: str) -> None:
    assert format_crash(classify(0, time_limit=5), record) == sentence


def test_given_no_record_then_the_explanation_of_the_cause_is_used() -> None:
    death = classify(-Signals.SIGKILL, oom_kills=1)
    assert format_crash(death, None) == "The kernel killed the process because it exceeded its memory limit."
    assert format_crash(Death(Cause.OUT_OF_MEMORY, "It was stopped."), RECORD) == "It was stopped."


def test_given_a_record_then_facts_have_the_same_numbers_in_bytes() -> None:
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


def test_given_no_record_then_facts_have_the_cgroup_only() -> None:
    facts = crash_facts(None, CgroupMemory())
    assert facts == {
        "cgroup": {"current_bytes": None, "peak_bytes": None, "limit_bytes": None, "events": {}, "pressure": None}
    }


def test_given_a_measured_peak_then_the_plan_error_is_relative_to_the_plan() -> None:
    assert plan_error(100, 150) == 0.5
    assert plan_error(100, 50) == -0.5
