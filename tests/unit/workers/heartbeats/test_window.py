"""Which machines a window holds, for how long, and whom it lets in."""

from typing import Any

import pytest

from tasks.heartbeats import Beat
from workers.heartbeats import window as module
from workers.heartbeats.machine import Machine
from workers.heartbeats.window import Window


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def window(clock: Clock, **changes: Any) -> Window:
    usual = {"seconds": 60.0, "limit": 10, "memory": 100, "future": 300.0, "machines": {}, "clock": clock}
    return Window(**{**usual, **changes})


def beats(*machines: str, seq: int = 1, seen_at: float = 1000.0) -> list[Beat]:
    return [Beat(machine, seq, seen_at, "running", rpm=float(seq)) for machine in machines]


def fold(here: Window, *machines: str, plant: str = "ulm", known: tuple[Machine, ...] = (), **changes: Any) -> None:
    """Fold as the coalescer does, with a table that knows the machines `known`."""
    some = beats(*machines, **changes)
    if strange := here.fold(plant, some, 1000.0):
        here.add_known({plant: dict.fromkeys(beat.machine for beat in strange)}, known)
        here.fold(plant, strange, 1000.0)


def names(machines: list[Machine]) -> list[str]:
    return [machine.machine for machine in machines]


def test_given_beats_of_machines_when_closed_then_each_that_changed_is_there_once(clock: Clock) -> None:
    here = window(clock)
    fold(here, "a", "b")
    fold(here, "a", seq=2)

    changed = here.close()

    assert [(machine.machine, machine.beats) for machine in changed] == [("a", 2), ("b", 1)]
    assert here.close() == []
    assert here.counted == 3


def test_given_a_closed_window_when_beats_go_on_then_it_does_not_change(clock: Clock) -> None:
    here = window(clock)
    fold(here, "a")
    written = here.close()

    fold(here, "a", seq=2)

    assert written[0].beats == 1
    assert here.close()[0].beats == 2


def test_given_a_clock_then_a_window_is_due_once_its_seconds_are_over(clock: Clock) -> None:
    here = window(clock)
    clock.now += 59.9
    assert not here.is_due()
    clock.now += 0.1
    assert here.is_due()
    here.close()
    assert not here.is_due()


def test_given_as_many_machines_as_fit_the_memory_then_a_window_is_due_at_once(clock: Clock) -> None:
    here = window(clock, memory=3)
    fold(here, "a", "b")
    assert not here.is_due()
    fold(here, "c")
    assert here.is_due()


def test_given_a_machine_that_the_table_knows_then_its_totals_go_on(clock: Clock) -> None:
    stored = Machine("ulm", "a")
    for beat in beats("a", "a"):
        stored.fold(beat)
    here = window(clock, machines={"ulm": 1})

    fold(here, "a", seq=2, known=(stored,))

    assert here.close()[0].rpm_totals == (2, 3.0, 1.0, 2.0)


def test_given_more_machines_than_are_remembered_then_the_longest_silent_is_asked_for_again(clock: Clock) -> None:
    here = window(clock, memory=2)
    for name in ("a", "b"):
        fold(here, name)
        here.close()
    fold(here, "a", seq=2)
    here.close()
    fold(here, "c")
    here.close()

    assert here.fold("ulm", beats("b", seq=3), 1000.0) == beats("b", seq=3)
    assert here.fold("ulm", beats("a", seq=3), 1000.0) == []


def test_given_a_full_plant_then_another_machine_is_turned_away_and_counted(clock: Clock) -> None:
    here = window(clock, limit=2, machines={"ulm": 1})
    fold(here, "a", "b")
    fold(here, "b", "b", seq=2)

    assert names(here.close()) == ["a"]
    assert here.rejected["stranger"] == 3
    fold(here, "x", plant="bern")
    assert names(here.close()) == ["x"]


def test_given_more_newcomers_than_there_is_room_then_those_that_came_first_are_let_in(clock: Clock) -> None:
    here = window(clock, limit=2)
    here.add_known({"ulm": ["z", "b", "a"]}, [])
    here.fold("ulm", beats("a", "b", "z"), 1000.0)

    assert sorted(names(here.close())) == ["b", "z"]


def test_given_a_machine_turned_away_then_the_table_is_not_asked_again(clock: Clock) -> None:
    here = window(clock, limit=1, machines={"ulm": 1})
    fold(here, "b")

    assert here.fold("ulm", beats("b", seq=2), 1000.0) == []


def test_given_more_plants_than_there_may_be_then_a_new_one_is_turned_away(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PLANTS", 1)
    here = window(clock)
    fold(here, "a")
    fold(here, "a", plant="bern")

    assert set(here._known) | set(here._current) == {"ulm"}  # the names of others are not kept
    assert [machine.plant for machine in here.close()] == ["ulm"]


def test_given_a_flood_of_names_then_those_remembered_are_bounded(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_REJECTED_NAMES", 5)
    here = window(clock, limit=1)
    for number in range(12):
        fold(here, f"m{number}")

    assert here.rejected["stranger"] == 11
    assert len(here.fold("ulm", beats("m1"), 1000.0)) == 1


def test_given_a_name_that_no_machine_may_have_then_it_is_turned_away(clock: Clock) -> None:
    here = window(clock)
    fold(here, "it's", "a")

    assert names(here.close()) == ["a"]


def test_given_a_beat_from_the_future_then_it_is_left_out_and_counted(clock: Clock) -> None:
    here = window(clock)
    fold(here, "a", seq=1, seen_at=1300.0)
    fold(here, "a", seq=2, seen_at=1300.1)

    assert here.close()[0].seq == 1
    assert here.rejected["future"] == 1


def test_given_a_new_machine_whose_clock_is_ahead_then_it_is_no_machine_yet(clock: Clock) -> None:
    here = window(clock, limit=1)
    fold(here, "ahead", seen_at=1300.1)

    assert here.close() == []
    assert here.rejected["future"] == 1
    fold(here, "b")
    assert names(here.close()) == ["b"]


def test_given_beats_then_the_news_are_told_once(clock: Clock) -> None:
    here = window(clock)
    fold(here, "a", "b")
    assert sorted(machine.machine for machine in here.drain_changes()) == ["a", "b"]
    here.close()
    fold(here, "a", seq=2)
    fold(here, "a", seq=2)

    assert [(machine.machine, machine.seq, at) for machine, at in here.drain_changes().items()] == [("a", 2, 1000.0)]
    assert here.drain_changes() == {}
    assert here.rejected["repeated"] == 1
