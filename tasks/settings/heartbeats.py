"""Settings: heartbeats, readings and the coalescer."""

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from tasks.settings.types import KAFKA_URL


class HeartbeatSettings(BaseSettings):
    """Heartbeats"""

    stream_url: SecretStr = Field(
        SecretStr(""),
        description="URL of RabbitMQ's stream protocol, `rabbitmq-stream://user:password@host:5552/`, from which the "
        "coalescer reads heartbeats. Unset: it reads them by AMQP, at about a fifth of the rate.",
    )
    heartbeats_source: SecretStr = Field(
        SecretStr(""),
        description="Kafka topic to read heartbeats from instead of RabbitMQ, with settings of librdkafka: "
        "`kafka://host:9092,host:9092/topic?security.protocol=SASL_SSL&sasl.username=…` (extra `bulkhead[kafka]`).",
    )
    heartbeats_database_urls: SecretStr = Field(
        SecretStr(""),
        description="MariaDB nodes of the table of machines, separated by spaces, in order of preference. Only one of "
        "them is written to. Unset: the ledger's database.",
    )
    heartbeats_window: float = Field(
        60, gt=0, le=3600, description="Length of the window that is written as one transaction, seconds."
    )
    max_clock_skew: float = Field(
        300,
        ge=0,
        description="Seconds by which a machine's clock may be ahead. Heartbeats from further in the future are "
        "rejected.",
    )
    heartbeats_lease: float = Field(
        30, ge=1, description="Seconds after which a stand-by takes over from a coalescer that has died."
    )
    heartbeats_metrics_port: int = Field(
        0, ge=0, le=65535, description="Port of the coalescer's Prometheus endpoint. 0: no endpoint."
    )
    machines_per_plant: int = Field(
        10_000, ge=1, description="Maximum number of machines of a plant. Heartbeats of further machines are rejected."
    )
    machine_cache_size: int = Field(
        200_000,
        ge=1,
        description="Machines that the coalescer keeps in memory, about 1 KiB each. It looks up others in the "
        "database.",
    )
    sensors_ttl: int = Field(
        86_400, ge=1, description="Seconds for which the latest readings of a silent machine are kept."
    )
    heartbeat_interval: float = Field(
        1, gt=0, description="Seconds between two heartbeats of a machine in normal operation."
    )
    stale_after: float = Field(5, gt=0, description="Missed intervals after which a machine is `stale`.")
    lost_after: float = Field(60, gt=0, description="Missed intervals after which a machine is `lost`.")

    @field_validator("heartbeats_source")
    @classmethod
    def check_heartbeats_source(cls, source: SecretStr) -> SecretStr:
        """Reject a source that is not a Kafka topic."""
        if source.get_secret_value() and not KAFKA_URL.fullmatch(source.get_secret_value()):
            raise ValueError("write it as kafka://host:port,host:port/topic, the topic of at most 57 characters")
        return source
