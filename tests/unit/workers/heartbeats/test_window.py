"""The machines that a window holds, for how long, and which ones it admits."""

from typing import Any

import pytest

from tasks.heartbeats import Beat
from workers.heartbeats import window as module
from workers.heartbeats.machine import Machine
from workers.heartbeats.window import Window


class Clock:
    """A clock that is set by the test."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def window(clock: Clock, **changes: Any) -> Window:
    defaults: dict[str, Any] = {
        "seconds": 60.0,
        "machines_per_plant": 10,
        "max_cached": 100,
        "max_clock_skew": 300.0,
        "machine_counts": {},
        "clock": clock,
    }
    return Window(**{**defaults, **changes})


def beats(*machines: str, seq: int = 1, seen_at: float = 1000.0) -> list[Beat]:
    return [Beat(machine, seq, seen_at, "running", rpm=float(seq)) for machine in machines]


def fold(target: Window, *machines: str, plant: str = "ulm", known: tuple[Machine, ...] = (), **changes: Any) -> None:
    """Fold as the coalescer does, with a table that has the machines `known`."""
    if unknown := target.fold(plant, beats(*machines, **changes), 1000.0):
        target.add_known({plant: dict.fromkeys(beat.machine for beat in unknown)}, known)
        target.fold(plant, unknown, 1000.0)


def names(machines: list[Machine]) -> list[str]:
    return [machine.machine for machine in machines]


def test_given_beats_when_the_window_closes_then_each_changed_machine_is_returned_once(clock: Clock) -> None:
    open_window = window(clock)
    fold(open_window, "a", "b")
    fold(open_window, "a", seq=2)

    changed = open_window.close()

    assert [(machine.machine, machine.beats) for machine in changed] == [("a", 2), ("b", 1)]
    assert open_window.close() == []
    assert open_window.counted == 3


def test_given_a_closed_window_when_more_beats_arrive_then_its_machines_do_not_change(clock: Clock) -> None:
    open_window = window(clock)
    fold(open_window, "a")
    written = open_window.close()

    fold(open_window, "a", seq=2)

    assert written[0].beats == 1
    assert open_window.close()[0].beats == 2


def test_given_an_open_window_when_its_time_is_over_then_it_is_due(clock: Clock) -> None:
    open_window = window(clock)
    clock.now += 59.9
    assert not open_window.is_due()
    clock.now += 0.1
    assert open_window.is_due()
    open_window.close()
    assert not open_window.is_due()


def test_given_a_full_cache_then_the_window_is_due_at_once(clock: Clock) -> None:
    open_window = window(clock, max_cached=3)
    fold(open_window, "a", "b")
    assert not open_window.is_due()
    fold(open_window, "c")
    assert open_window.is_due()


def test_given_a_stored_machine_then_its_totals_continue(clock: Clock) -> None:
    stored = Machine("ulm", "a")
    for beat in beats("a", "a"):
        stored.fold(beat)
    open_window = window(clock, machine_counts={"ulm": 1})

    fold(open_window, "a", seq=2, known=(stored,))

    assert open_window.close()[0].totals[0] == (2, 3.0, 1.0, 2.0)


def test_given_more_machines_than_fit_the_cache_then_the_longest_silent_is_evicted(clock: Clock) -> None:
    open_window = window(clock, max_cached=2)
    for name in ("a", "b"):
        fold(open_window, name)
        open_window.close()
    fold(open_window, "a", seq=2)
    open_window.close()
    fold(open_window, "c")
    open_window.close()

    assert open_window.fold("ulm", beats("b", seq=3), 1000.0) == beats("b", seq=3)
    assert open_window.fold("ulm", beats("a", seq=3), 1000.0) == []


def test_given_a_full_plant_then_another_machine_is_rejected_and_counted(clock: Clock) -> None:
    open_window = window(clock, machines_per_plant=2, machine_counts={"ulm": 1})
    fold(open_window, "a", "b")
    fold(open_window, "b", "b", seq=2)

    assert names(open_window.close()) == ["a"]
    assert open_window.rejected["unknown-machine"] == 3
    fold(open_window, "x", plant="bern")
    assert names(open_window.close()) == ["x"]


def test_given_more_new_machines_than_allowed_then_the_first_ones_are_admitted(clock: Clock) -> None:
    open_window = window(clock, machines_per_plant=2)
    open_window.add_known({"ulm": ["z", "b", "a"]}, [])
    open_window.fold("ulm", beats("a", "b", "z"), 1000.0)

    assert sorted(names(open_window.close())) == ["b", "z"]


def test_given_a_rejected_machine_then_it_is_not_looked_up_again(clock: Clock) -> None:
    open_window = window(clock, machines_per_plant=1, machine_counts={"ulm": 1})
    fold(open_window, "b")

    assert open_window.fold("ulm", beats("b", seq=2), 1000.0) == []


def test_given_the_maximum_of_plants_then_a_new_plant_is_rejected(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PLANTS", 1)
    open_window = window(clock)
    fold(open_window, "a")
    fold(open_window, "a", plant="bern")

    assert set(open_window._known) | set(open_window._current) == {"ulm"}  # the names of other plants are not stored
    assert [machine.plant for machine in open_window.close()] == ["ulm"]


def test_given_a_flood_of_names_then_the_number_of_remembered_names_is_limited(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_REJECTED_NAMES", 5)
    open_window = window(clock, machines_per_plant=1)
    for number in range(12):
        fold(open_window, f"m{number}")

    assert open_window.rejected["unknown-machine"] == 11
    assert len(open_window.fold("ulm", beats("m1"), 1000.0)) == 1


def test_given_an_invalid_machine_name_then_it_is_rejected(clock: Clock) -> None:
    open_window = window(clock)
    fold(open_window, "it's", "a")

    assert names(open_window.close()) == ["a"]


def test_given_a_beat_from_the_future_then_it_is_rejected_and_counted(clock: Clock) -> None:
    open_window = window(clock)
    fold(open_window, "a", seq=1, seen_at=1300.0)
    fold(open_window, "a", seq=2, seen_at=1300.1)

    assert open_window.close()[0].seq == 1
    assert open_window.rejected["clock-skew"] == 1


def test_given_a_new_machine_whose_clock_is_ahead_then_it_is_not_admitted_yet(clock: Clock) -> None:
    open_window = window(clock, machines_per_plant=1)
    fold(open_window, "ahead", seen_at=1300.1)

    assert open_window.close() == []
    assert open_window.rejected["clock-skew"] == 1
    fold(open_window, "b")
    assert names(open_window.close()) == ["b"]


def test_given_beats_then_each_change_is_returned_once(clock: Clock) -> None:
    open_window = window(clock)
    fold(open_window, "a", "b")
    assert sorted(machine.machine for machine in open_window.drain_changes()) == ["a", "b"]
    open_window.close()
    fold(open_window, "a", seq=2)
    fold(open_window, "a", seq=2)

    assert [(machine.machine, machine.seq, at) for machine, at in open_window.drain_changes().items()] == [
        ("a", 2, 1000.0)
    ]
    assert open_window.drain_changes() == {}
    assert open_window.rejected["duplicate"] == 1
