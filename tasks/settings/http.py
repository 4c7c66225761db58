"""Settings: the web tier and its limits."""

from pydantic import Field
from pydantic_settings import BaseSettings

from tasks.utils.units import MIB


class HttpSettings(BaseSettings):
    """Web tier"""

    host: str = Field("127.0.0.1", description="Address that the web tier listens on.")
    port: int = Field(8080, ge=1, le=65535, description="Port that the web tier listens on.")
    web_processes: int = Field(
        4,
        ge=1,
        le=64,
        description="Processes of the web tier; they share its port. Two for each available core are best: uploads and "
        "downloads then seldom share a process.",
    )
    upload_limit: int = Field(512 * MIB, gt=0, description="Maximum size of an uploaded blueprint, bytes.")
    output_rate: int = Field(
        8 * MIB,
        gt=0,
        description="Rate at which an output of more than 4 MiB is sent, bytes per second. Its first MiB is not "
        "throttled.",
    )
    publish_timeout: float = Field(
        1.0,
        gt=0,
        le=60,
        description="Seconds to wait for the broker's confirmation; then the client gets status 503.",
    )
    queue_limit: int = Field(
        10_000,
        gt=0,
        description="Maximum number of waiting renders of a queue. Further ones are rejected with status 429.",
    )
    store_min_free: int = Field(
        1024 * MIB,
        ge=0,
        description="Free disk space that the store keeps for running renders, bytes. Below it new renders are "
        "rejected with status 507.",
    )
    tenant_quota: int | None = Field(
        None,
        ge=1,
        description="Maximum number of waiting and running renders of a tenant. Further ones are rejected with "
        "status 429. "
        "Unset: no quota.",
    )
    tenant_max_queued: int | None = Field(
        None,
        ge=1,
        description="Maximum number of a tenant's renders in a queue. Further renders are accepted and wait in the "
        "ledger; maintenance queues them, one tenant after the other. Unset: all renders are queued at once.",
    )
