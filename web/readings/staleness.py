"""Detects when the readings of machines become stale or lost. Pure: readings and time are passed in."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.sensors import Sensor, SensorState, sensor_state
from tasks.settings import Settings


class StalenessTracker:
    """Tracks the time of each machine's last reading, and the state that was last reported."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._received_at: dict[str, float] = {}
        self._reported: dict[str, SensorState] = {}

    def record(self, sensors: Iterable[Sensor], now: float) -> None:
        """Record new readings, whose states are reported with them."""
        for sensor in sensors:
            self._received_at[sensor.machine] = sensor.received_at
            self._reported[sensor.machine] = state_at(sensor.received_at, now, self._settings)

    def changed_states(self, now: float) -> dict[str, SensorState]:
        """The machines whose state differs from the last reported one. Each change is returned once."""
        states = {machine: state_at(at, now, self._settings) for machine, at in self._received_at.items()}
        changed = {machine: state for machine, state in states.items() if state != self._reported[machine]}
        self._reported.update(changed)
        return changed


def state_at(received_at: float, now: float, settings: Settings) -> SensorState:
    """The state at `now` of a machine whose last reading was received at `received_at`."""
    return sensor_state(
        now - received_at,
        interval=settings.heartbeat_interval,
        stale_after=settings.stale_after,
        lost_after=settings.lost_after,
    )
