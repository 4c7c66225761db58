"""A machine that falls silent turns stale, then lost; told once each."""

from __future__ import annotations

import pytest

from tasks.sensors import Sensor, sensor_state
from tasks.settings import Settings
from web.readings.staleness import StalenessTracker

SETTINGS = Settings(heartbeat_interval=2, stale_after=5, lost_after=60)


def sensor(machine: str, received_at: float) -> Sensor:
    return Sensor(plant="ulm", machine=machine, seq=1, seen_at=0, received_at=received_at, status="running")


@pytest.mark.parametrize(
    ("silence", "state"), [(-5.0, "alive"), (10.0, "alive"), (10.1, "stale"), (120.0, "stale"), (120.1, "lost")]
)
def test_given_a_silence_then_intervals_of_it_decide(silence: float, state: str) -> None:
    assert sensor_state(silence, interval=2, stale_after=5, lost_after=60) == state


def test_given_a_machine_that_falls_silent_when_looked_at_then_each_turn_is_told_once() -> None:
    here = StalenessTracker(SETTINGS)
    here.record([sensor("a", 1000.0), sensor("b", 1000.0)], 1000.0)
    assert here.changed_states(1009.0) == {}

    here.record([sensor("b", 1010.0)], 1010.0)

    assert here.changed_states(1011.0) == {"a": "stale"}
    assert here.changed_states(1012.0) == {}
    assert here.changed_states(1130.0) == {"a": "lost", "b": "stale"}


def test_given_a_lost_machine_when_heard_again_then_its_readings_tell_so() -> None:
    here = StalenessTracker(SETTINGS)
    here.record([sensor("a", 1000.0)], 2000.0)
    assert here.changed_states(2000.0) == {}

    here.record([sensor("a", 2001.0)], 2001.0)

    assert here.changed_states(2002.0) == {}
    assert here.changed_states(2012.0) == {"a": "stale"}
