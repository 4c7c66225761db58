"""Settings: rotation of TLS ticket keys."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings


class TicketSettings(BaseSettings):
    """TLS ticket keys"""

    tickets_interval: float = Field(
        3600,
        gt=0,
        description="Seconds between two rotations: at least BULKHEAD_TICKETS_LIFETIME. A key is in use for three "
        "intervals. 600 is recommended.",
    )
    tickets_lifetime: float = Field(
        300,
        ge=0,
        description="Lifetime of a ticket, seconds: HAProxy's `tune.ssl.lifetime`. Keys are not rotated again within "
        "this time, except with --force or --replace.",
    )
    tickets_ssh_config: Path | None = Field(
        None, description="ssh_config(5) file with which the nodes are reached. Unset: ssh's default."
    )
    tickets_timeout: float = Field(5, gt=0, le=60, description="Seconds to wait for a node's answer.")
    tickets_ssh_persist: int = Field(
        7200,
        ge=0,
        description="Seconds for which an idle SSH connection stays open (ControlPersist). 0: it is closed after each "
        "run.",
    )
    tickets_lease: float = Field(
        60, ge=1, description="Seconds after which another host may rotate if the rotating host has died."
    )
    tickets_watch_interval: float = Field(
        2, gt=0, description="Seconds between two checks of the nodes by `bulkhead tickets watch`."
    )
    tickets_metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Loopback port of the Prometheus endpoint of `bulkhead tickets watch`. 0: no endpoint.",
    )
