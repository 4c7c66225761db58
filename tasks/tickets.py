"""Rotation of TLS ticket keys: who is asked to do it, and when. No message ever carries a key."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

TASK = "tickets.rotate"
REQUEST_TASK = "maintenance.request_rotation"

# The clock asks so many times an interval, and at most so often (seconds), whether a rotation is due: one that failed
# is tried again soon, and a clock that starts anew rotates nothing before its time.
CHECKS_PER_INTERVAL = 10
MAX_CHECK_INTERVAL = 60.0


class RotateMessage(BaseModel):
    """Bring the fleet to a generation of its ring. To have it delivered again does nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = 1
    generation: Annotated[int, Field(ge=1, lt=2**63, description="Rotate until the ring is of this generation.")]
    fencing_token: Annotated[
        int, Field(ge=0, lt=2**63, description="The newest fencing token by now; whoever rotates takes a greater one.")
    ]


def check_interval(interval: float) -> float:
    """Seconds between two questions whether a rotation is due, where `interval` seconds are between two rotations."""
    return min(interval / CHECKS_PER_INTERVAL, MAX_CHECK_INTERVAL)
