"""Maintenance tasks: the sweep, which republishes jobs that no worker has claimed or whose worker has died, and
retention, which removes old jobs, outputs and sources.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

SWEEP_TASK = "maintenance.sweep"
RETAIN_TASK = "maintenance.retain"

# Seconds between two runs of retention, whose settings are in days.
RETAIN_INTERVAL = 3600.0


class MaintenanceMessage(BaseModel):
    """The message of maintenance tasks, which have no parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = 1
