"""Latest readings in Redis: their model, their keys, and the state that follows from their age.

sensor:<plant>:<machine>   hash of the latest heartbeat; expires when the machine has been silent for a long time
sensors:<plant>            sorted set: when the last heartbeat of each machine was received
sensors:<plant> (channel)  JSON list of the updated readings, published each second
plants                     sorted set: when the last heartbeat of each plant was received
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
    seq: int = Field(description="Sequence number of the heartbeat.")
    seen_at: float = Field(description="Time of the heartbeat by the machine's clock, in seconds since 1970.")
    received_at: float = Field(description="When the broker received the heartbeat, in seconds since 1970.")
    status: str = Field(description="Status that the machine reported.")
    rpm: float | None = Field(None, description="Revolutions per minute.")
    temperature_c: float | None = Field(None, description="Temperature in degrees Celsius.")
    vibration_mm_s: float | None = Field(None, description="Vibration velocity (RMS) in millimetres per second.")


class LastFlush(BaseModel):
    """The last window of heartbeats that was written to the table."""

    model_config = ConfigDict(frozen=True)

    flushed_at: float = Field(description="When the window was written, in seconds since 1970.")
    recorded_at: float = Field(description="When the broker received its last heartbeat, in seconds since 1970.")
    window_seconds: float = Field(description="Length of the window in seconds.")
    flush_seconds: float = Field(description="Duration of the flush in seconds.")
    machines: int = Field(description="Rows written.")
    beats: int = Field(description="Heartbeats in the window.")


PLANTS_KEY = "plants"
LAST_FLUSH_KEY = "coalescer"


def sensor_key(plant: str, machine: str) -> str:
    """Key of a machine's hash."""
    return f"sensor:{plant}:{machine}"


def plant_key(plant: str) -> str:
    """Key of the set of a plant's machines, and name of the channel of its updates."""
    return f"sensors:{plant}"


def sensor_state(age: float, *, interval: float, stale_after: float, lost_after: float) -> SensorState:
    """The state of a machine whose last heartbeat is `age` seconds old.

    `interval` is the machine's interval between heartbeats in seconds; `stale_after` and `lost_after` are numbers of
    intervals.
    """
    if age > lost_after * interval:
        return "lost"
    return "stale" if age > stale_after * interval else "alive"
