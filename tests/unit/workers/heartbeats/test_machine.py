"""The state of a machine after its beats."""

import random
from math import inf
from typing import Any

import pytest

from tasks.heartbeats import Beat
from workers.heartbeats.machine import REPLAY_WINDOW, Machine


def beat(seq: int, seen_at: float | None = None, **readings: Any) -> Beat:
    return Beat(
        **{
            "machine": "press",
            "seq": seq,
            "seen_at": seq if seen_at is None else seen_at,
            "status": "running",
            **readings,
        }
    )


def machine_after(*beats: Beat) -> Machine:
    machine = Machine("ulm", "press")
    for each in beats:
        machine.fold(each)
    return machine


def test_given_beats_then_the_state_has_the_latest_readings_and_totals_of_all() -> None:
    machine = machine_after(beat(1, rpm=10.0), beat(2, rpm=30.0, temperature_c=5.0), beat(3, status="fault", rpm=20.0))

    assert (machine.seq, machine.seen_at, machine.status, machine.beats) == (3, 3, "fault", 3)
    assert machine.readings == (20.0, None, None)
    assert machine.totals[0] == (3, 60.0, 10.0, 30.0)
    assert machine.totals[1] == (1, 5.0, 5.0, 5.0)
    assert machine.totals[2] == (0, 0.0, inf, -inf)


def test_given_a_repeated_beat_then_it_is_counted_once() -> None:
    machine = machine_after(beat(7, rpm=1.0))

    assert not machine.fold(beat(7, rpm=1.0))
    assert (machine.beats, machine.totals[0]) == (1, (1, 1.0, 1.0, 1.0))


def test_given_beats_out_of_order_then_the_one_with_the_latest_time_wins_and_all_are_counted() -> None:
    machine = machine_after(beat(1, rpm=1.0), beat(3, rpm=3.0), beat(2, rpm=2.0))

    assert (machine.beats, machine.seq, machine.readings[0]) == (3, 3, 3.0)
    assert not machine.fold(beat(2, rpm=2.0))


def test_given_a_clock_that_steps_back_then_beats_are_counted_and_readings_stay_until_it_catches_up() -> None:
    machine = machine_after(beat(1, 1000.0, rpm=1.0), beat(2, 400.0, rpm=2.0), beat(3, 401.0, rpm=3.0))

    assert (machine.beats, machine.seq, machine.seen_at, machine.readings[0]) == (3, 3, 1000.0, 1.0)
    assert machine.totals[0] == (3, 6.0, 1.0, 3.0)
    machine.fold(beat(4, 1000.5, rpm=4.0))
    assert (machine.seen_at, machine.readings[0]) == (1000.5, 4.0)


def test_given_a_clock_that_stepped_ahead_then_that_reading_stays_the_latest_until_its_time() -> None:
    machine = machine_after(beat(1, 1000.0, rpm=1.0), beat(2, 1200.0, rpm=2.0), beat(3, 1002.0, rpm=3.0))

    assert (machine.beats, machine.readings[0]) == (3, 2.0)
    machine.fold(beat(4, 1200.5, rpm=4.0))
    assert machine.readings[0] == 4.0


def test_given_two_beats_of_the_same_time_then_the_higher_number_wins_in_any_order() -> None:
    first, second = beat(1, 5.0, rpm=1.0), beat(2, 5.0, rpm=2.0)

    assert machine_after(first, second).readings[0] == machine_after(second, first).readings[0] == 2.0


def test_given_a_beat_outside_the_replay_window_then_it_is_not_counted() -> None:
    machine = machine_after(beat(0), beat(REPLAY_WINDOW + 1))

    assert not machine.fold(beat(0))
    assert machine.fold(beat(1))
    assert machine.beats == 3


def test_given_a_machine_that_restarts_its_numbers_then_its_new_beats_are_counted() -> None:
    machine = machine_after(beat(100_000, 50.0), beat(0, 51.0), beat(1, 52.0))

    assert (machine.beats, machine.seq, machine.seen_at) == (3, 1, 52.0)


def test_given_a_machine_that_restarts_soon_after_its_first_beats_then_its_new_beats_are_counted() -> None:
    machine = machine_after(*(beat(seq, 50.0 + seq, status="running") for seq in range(40)))

    assert all(machine.fold(beat(seq, 100.0 + seq, status="fault")) for seq in range(3))

    assert (machine.beats, machine.seq, machine.seen_at, machine.status) == (43, 2, 102.0, "fault")
    assert not machine.fold(beat(2, 102.0, status="fault"))


def test_given_any_order_and_repetition_within_the_window_then_the_totals_are_the_same() -> None:
    choose = random.Random(3)
    beats = [beat(seq, rpm=choose.uniform(0, 100)) for seq in range(40)]
    for _ in range(50):
        shuffled = beats + choose.choices(beats, k=40)
        choose.shuffle(shuffled)
        machine = machine_after(*shuffled)
        count, total, low, high = machine.totals[0]
        values = [each.rpm for each in beats if each.rpm is not None]
        assert (machine.beats, count, low, high) == (40, 40, min(values), max(values))
        assert total == pytest.approx(sum(values))
        assert machine.readings[0] == beats[-1].rpm


def test_given_a_copy_when_the_original_changes_then_the_copy_does_not() -> None:
    machine = machine_after(beat(1, rpm=1.0))
    copy = machine.copy()

    machine.fold(beat(2, rpm=2.0))

    assert (copy.beats, copy.readings[0], copy.totals[0]) == (1, 1.0, (1, 1.0, 1.0, 1.0))
    assert all(hasattr(copy, name) for name in Machine.__slots__)
