"""Who has fallen silent, among the machines that somebody watches: pure, given what is heard and the time."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.sensors import Sensor, SensorState, sensor_state
from tasks.settings import Settings


class StalenessTracker:
    """Remembers when each machine was heard, and the state that was last told of it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._received_at: dict[str, float] = {}
        self._reported: dict[str, SensorState] = {}

    def record(self, sensors: Iterable[Sensor], now: float) -> None:
        """Note readings; their state is told with them."""
        for sensor in sensors:
            self._received_at[sensor.machine] = sensor.received_at
            self._reported[sensor.machine] = state_at(sensor.received_at, now, self._settings)

    def changed_states(self, now: float) -> dict[str, SensorState]:
        """Machines whose state is another one than was told, each once."""
        states = {machine: state_at(at, now, self._settings) for machine, at in self._received_at.items()}
        turned = {machine: state for machine, state in states.items() if state != self._reported[machine]}
        self._reported.update(turned)
        return turned


def state_at(received_at: float, now: float, settings: Settings) -> SensorState:
    """The state at the time `now` of a machine that was last heard at the time `heard`."""
    return sensor_state(
        now - received_at,
        interval=settings.heartbeat_interval,
        stale_after=settings.stale_after,
        lost_after=settings.lost_after,
    )
