"""Upkeep: the sweep that publishes again what was accepted and never picked up, or held by a worker that died; and the
round that removes what is old.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

SWEEP_TASK = "maintenance.sweep"
RETAIN_TASK = "maintenance.retain"

# Seconds between two rounds of retention, whose settings count in days.
RETAIN_INTERVAL = 3600.0


class MaintenanceMessage(BaseModel):
    """Neither a sweep nor a round of retention takes a parameter."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = 1
