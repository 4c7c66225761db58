"""The message that requests a rotation of TLS ticket keys, and when it is sent. No message carries a key."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

TASK = "tickets.rotate"
REQUEST_TASK = "maintenance.request_rotation"

# The scheduler checks several times per interval, at most every so many seconds, whether a rotation is due. A failed
# rotation is thus repeated soon, and a restarted scheduler does not rotate too early.
CHECKS_PER_INTERVAL = 10
MAX_CHECK_INTERVAL = 60.0  # seconds


class RotateMessage(BaseModel):
    """Request to rotate the fleet up to a generation. Delivering it twice has no further effect."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = 1
    generation: Annotated[int, Field(ge=1, lt=2**63, description="Generation of the keyring to reach.")]
    fencing_token: Annotated[
        int,
        Field(
            ge=0,
            lt=2**63,
            description="Newest fencing token when the message was sent; the rotator takes a greater one.",
        ),
    ]


def check_interval(interval: float) -> float:
    """Seconds between two checks whether a rotation is due, given the seconds between two rotations."""
    return min(interval / CHECKS_PER_INTERVAL, MAX_CHECK_INTERVAL)
