"""Settings: maintenance and retention."""

from pydantic import Field
from pydantic_settings import BaseSettings


class MaintenanceSettings(BaseSettings):
    """Maintenance and retention"""

    maintenance_interval: float = Field(5, gt=0, description="Seconds between two sweeps of the ledger.")
    republish_after: float = Field(
        60, gt=0, description="Seconds after which a job that no worker has claimed is published again."
    )
    retain_jobs_days: float | None = Field(
        None,
        gt=0,
        description="Days after which a finished job is removed together with its source and outputs. Unset: never.",
    )
    retain_outputs_days: float | None = Field(
        None,
        gt=0,
        description="Days after which the outputs of a finished job are removed; the job stays listed. Unset: they "
        "are removed together with the job.",
    )
    retain_sources_days: float | None = Field(
        None,
        gt=0,
        description="Days after which the source of a finished job is removed; the job can then no longer be "
        "replayed. Unset: it is removed together with the job.",
    )
