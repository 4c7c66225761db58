"""Latest readings in Redis: their keys, their models, and the state that their age implies.

sensor:<plant>:<machine>   hash of the machine's latest heartbeat; expires after BULKHEAD_SENSORS_TTL
sensors:<plant>            sorted set of the plant's machines by the time of their last heartbeat
sensors:<plant> (channel)  JSON list of new readings, published every second
plants                     sorted set of plants by the time of their last heartbeat
heartbeats:last_flush      JSON of the coalescer's last flush
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from tasks.heartbeats import reading_descriptions

SensorState = Literal["alive", "stale", "lost"]


_fields: dict[str, Any] = {
    name: (float | None, Field(None, description=text)) for name, text in reading_descriptions().items()
}
_Readings = create_model("_Readings", **_fields)


class Sensor(_Readings):  # with a field for each reading
    """The latest readings of a machine."""

    model_config = ConfigDict(frozen=True)

    plant: str
    machine: str
    seq: int
    seen_at: float = Field(description="Time of the heartbeat by the machine's clock, seconds since the epoch.")
    received_at: float = Field(description="Time at which the broker received it, seconds since the epoch.")
    status: str = Field(description="Status that the machine reports.")


class LastFlush(BaseModel):
    """The last window that the coalescer wrote to the database."""

    model_config = ConfigDict(frozen=True)

    flushed_at: float = Field(description="Time at which it was written, seconds since the epoch.")
    received_at: float = Field(
        description="Time at which the broker received its last record, seconds since the epoch."
    )
    window_seconds: float = Field(description="Length of the window, seconds.")
    flush_seconds: float = Field(description="Time that writing it took, seconds.")
    machines: int = Field(description="Rows written.")
    beats: int = Field(description="Heartbeats in the window.")


PLANTS_KEY = "plants"
LAST_FLUSH_KEY = "heartbeats:last_flush"


def sensor_key(plant: str, machine: str) -> str:
    """Key of a machine's hash."""
    return f"sensor:{plant}:{machine}"


def plant_key(plant: str) -> str:
    """Key of the set of a plant's machines, and name of the channel of its new readings."""
    return f"sensors:{plant}"


def sensor_state(age: float, *, interval: float, stale_after: float, lost_after: float) -> SensorState:
    """The state of a machine whose last heartbeat is `age` seconds old.

    `interval` is the seconds between two heartbeats; the limits count missed intervals.
    """
    if age > lost_after * interval:
        return "lost"
    return "stale" if age > stale_after * interval else "alive"
