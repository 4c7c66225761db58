"""A silent machine becomes stale, then lost; each change is reported once."""

from __future__ import annotations

import pytest

from tasks.sensors import Sensor, sensor_state
from tasks.settings import Settings
from web.readings.staleness import StalenessTracker

SETTINGS = Settings(heartbeat_interval=2, stale_after=5, lost_after=60)


def sensor(machine: str, received_at: float) -> Sensor:
    return Sensor(plant="ulm", machine=machine, seq=1, seen_at=0, received_at=received_at, status="running")


@pytest.mark.parametrize(
    ("age", "state"), [(-5.0, "alive"), (10.0, "alive"), (10.1, "stale"), (120.0, "stale"), (120.1, "lost")]
)
def test_given_the_age_of_a_reading_then_its_intervals_determine_the_state(age: float, state: str) -> None:
    assert sensor_state(age, interval=2, stale_after=5, lost_after=60) == state


def test_given_a_silent_machine_then_each_change_of_state_is_reported_once() -> None:
    tracker = StalenessTracker(SETTINGS)
    tracker.record([sensor("a", 1000.0), sensor("b", 1000.0)], 1000.0)
    assert tracker.changed_states(1009.0) == {}

    tracker.record([sensor("b", 1010.0)], 1010.0)

    assert tracker.changed_states(1011.0) == {"a": "stale"}
    assert tracker.changed_states(1012.0) == {}
    assert tracker.changed_states(1130.0) == {"a": "lost", "b": "stale"}


def test_given_a_lost_machine_when_it_sends_a_heartbeat_then_its_state_is_reported_with_the_reading() -> None:
    tracker = StalenessTracker(SETTINGS)
    tracker.record([sensor("a", 1000.0)], 2000.0)
    assert tracker.changed_states(2000.0) == {}

    tracker.record([sensor("a", 2001.0)], 2001.0)

    assert tracker.changed_states(2002.0) == {}
    assert tracker.changed_states(2012.0) == {"a": "stale"}
