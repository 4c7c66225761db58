"""The tables of the ledger. They change through a migration in `migrations/versions`, never by hand."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
)

metadata = MetaData()

# `utf8mb4_bin` so that MariaDB compares ids and names exactly as SQLite does.
_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("tenant", String(63), nullable=False),
    Column("state", String(10), nullable=False),
    Column("source", String(255), nullable=False),
    Column("filename", String(255), nullable=False),
    Column("options", JSON(none_as_null=True), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("finished_at", Double),
    Column("digest", String(64)),
    Column("size", BigInteger),
    Column("plan", JSON(none_as_null=True)),
    Column("artifact", String(64)),
    Column("error", JSON(none_as_null=True)),
    Column("traceparent", String(55)),
    Column("attempt", Integer, nullable=False, default=0),
    Column("crashes", Integer, nullable=False, default=0),
    Column("worker_losses", Integer, nullable=False, default=0),
    Column("lease_owner", String(255)),
    Column("lease_expires_at", Double),
    Column("published_at", Double),
    Column("publications", Integer, nullable=False, default=0),
    Column("queue", String(63), nullable=False, server_default="render"),
    Column("webhook", String(500)),
    Column("webhook_pending", Boolean, nullable=False, server_default=false()),
    Index("jobs_newest", "tenant", "created_at", "id"),
    Index("jobs_by_state", "state", "updated_at"),
    Index("jobs_by_tenant", "tenant", "state", "queue"),
    Index("jobs_by_artifact", "tenant", "artifact"),
    Index("jobs_by_source", "source"),
    Index("jobs_by_webhook", "webhook_pending", "state"),
    **_TABLE,
)

attempts = Table(
    "attempts",
    metadata,
    Column("job", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("lease_owner", String(255), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("outcome", String(10), nullable=False),
    Column("cause", String(32)),
    Column("explanation", Text),
    Column("facts", JSON(none_as_null=True)),
    Index("attempts_by_end", "ended_at"),
    **_TABLE,
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("tenant", String(63), primary_key=True),
    Column("idempotency_key", String(255), primary_key=True),
    Column("created_at", Double, nullable=False),
    Column("fingerprint", String(64)),
    Column("job", String(36)),
    Index("idempotency_keys_by_job", "job"),
    **_TABLE,
)

rotations = Table(
    "rotations",
    metadata,
    Column("fleet", String(63), primary_key=True),
    Column("generation", BigInteger, nullable=False, server_default="0"),
    Column("fencing_token", BigInteger, nullable=False, server_default="0"),
    Column("rotated_at", Double),
    Column("requested_at", Double),
    Column("lease_owner", String(255)),
    Column("lease_expires_at", Double),
    Column("result", String(63), nullable=False, server_default=""),
    **_TABLE,
)
