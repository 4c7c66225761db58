"""Live readings in Redis: how they are named there, and what their age says.

sensor:<plant>:<machine>   hash of the latest beat, gone when the machine has been silent for long
sensors:<plant>            sorted set: when each machine was last heard
sensors:<plant> (channel)  JSON list of readings that are new, each second
plants                     sorted set: when each plant was last heard
coalescer                  JSON of the coalescer's last flush
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SensorState = Literal["alive", "stale", "lost"]


class Sensor(BaseModel):
    """The latest readings of a machine."""

    model_config = ConfigDict(frozen=True)

    plant: str
    machine: str
    seq: int
    seen_at: float = Field(description="When, in seconds since 1970, by the machine's clock.")
    received_at: float = Field(description="When the broker took it, in seconds since 1970.")
    status: str = Field(description="What the machine said of itself.")
    rpm: float | None = Field(None, description="Revolutions a minute.")
    temperature_c: float | None = Field(None, description="Degrees Celsius.")
    vibration_mm_s: float | None = Field(None, description="Velocity, RMS, in millimetres a second.")


class LastFlush(BaseModel):
    """The last window of heartbeats that was written to the table."""

    model_config = ConfigDict(frozen=True)

    flushed_at: float = Field(description="When it was written, in seconds since 1970.")
    recorded_at: float = Field(description="When the broker took its last beat, in seconds since 1970.")
    window_seconds: float = Field(description="Its length in seconds.")
    flush_seconds: float = Field(description="What the writing took.")
    machines: int = Field(description="Rows written.")
    beats: int = Field(description="Beats in it.")


PLANTS_KEY = "plants"
LAST_FLUSH_KEY = "coalescer"


def sensor_key(plant: str, machine: str) -> str:
    """Key of a machine's hash."""
    return f"sensor:{plant}:{machine}"


def plant_key(plant: str) -> str:
    """Key of the set of a plant's machines, and name of the channel of its news."""
    return f"sensors:{plant}"


def sensor_state(age: float, *, interval: float, stale_after: float, lost_after: float) -> SensorState:
    """What a silence of so many seconds says, given the machine's interval and after how many of them."""
    if age > lost_after * interval:
        return "lost"
    return "stale" if age > stale_after * interval else "alive"
