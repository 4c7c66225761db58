"""Settings: the services that the platform uses, and the directory for its own files."""

from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

from tasks.settings.types import BROKER_SCHEMES, DATABASE_SCHEMES

DEFAULT_VAR = Path("var")


class ServiceSettings(BaseSettings):
    """Services"""

    broker_url: SecretStr = Field(
        SecretStr("amqp://guest:guest@127.0.0.1:5672//"),
        description="URL of RabbitMQ. Separate the nodes of a cluster by semicolons.",
    )
    ledger_url: SecretStr = Field(
        SecretStr(f"sqlite:///{DEFAULT_VAR}/ledger.db"),
        description="Database of the ledger: `sqlite:///path`, or `mysql+pymysql://user:password@host/database` for "
        "MariaDB.",
    )
    store_url: str = Field(
        f"{DEFAULT_VAR}/store",
        description="Where sources and outputs are stored: a directory, or `s3://bucket/prefix` (extra "
        "`bulkhead[s3]`).",
    )
    redis_url: SecretStr | None = Field(
        None, description="URL of Redis, which holds the latest readings. Unset: no readings are kept."
    )
    var: Path = Field(
        DEFAULT_VAR,
        description="Directory of run-time files: crash reports, flight records, data of the embedded platform.",
    )

    @field_validator("broker_url")
    @classmethod
    def check_broker_url(cls, urls: SecretStr) -> SecretStr:
        """Reject a URL that is not AMQP here, with one clear message, rather than in every command."""
        if not all(url.startswith(BROKER_SCHEMES) for url in urls.get_secret_value().split(";")):
            raise ValueError("write it as amqp://user:password@host:5672//, or amqps://…")
        return urls

    @field_validator("ledger_url", "heartbeats_database_urls", check_fields=False)
    @classmethod
    def check_database_urls(cls, urls: SecretStr, info: ValidationInfo) -> SecretStr:
        """Reject URLs of unsupported databases. A SQLite path may contain spaces, so `ledger_url` is not split."""
        text = urls.get_secret_value()
        if not all(
            url.startswith(DATABASE_SCHEMES) for url in ([text] if info.field_name == "ledger_url" else text.split())
        ):
            raise ValueError("write it as sqlite:///path or mysql+pymysql://user:password@host/database")
        return urls
