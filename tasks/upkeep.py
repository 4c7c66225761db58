"""Upkeep: the sweep that publishes again what was accepted and never picked up, or held by a worker that died."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

TASK = "upkeep.sweep"


class SweepMessage(BaseModel):
    """A sweep takes no parameter."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = 1
