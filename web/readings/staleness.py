"""Who has fallen silent, among the machines that somebody watches: pure, given what is heard and the time."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.sensors import Sensor, State, state_of
from tasks.settings import Settings


class Silence:
    """Remembers when each machine was heard, and the state that was last told of it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._heard: dict[str, float] = {}
        self._told: dict[str, State] = {}

    def heard(self, sensors: Iterable[Sensor], now: float) -> None:
        """Note readings; their state is told with them."""
        for sensor in sensors:
            self._heard[sensor.machine] = sensor.received_at
            self._told[sensor.machine] = state_at(sensor.received_at, now, self._settings)

    def turned(self, now: float) -> dict[str, State]:
        """Machines whose state is another one than was told, each once."""
        states = {machine: state_at(at, now, self._settings) for machine, at in self._heard.items()}
        turned = {machine: state for machine, state in states.items() if state != self._told[machine]}
        self._told.update(turned)
        return turned


def state_at(heard: float, now: float, settings: Settings) -> State:
    """The state at the time `now` of a machine that was last heard at the time `heard`."""
    return state_of(
        now - heard,
        interval=settings.beat_interval,
        stale_after=settings.stale_after,
        lost_after=settings.lost_after,
    )
