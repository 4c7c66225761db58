"""Jobs, attempts, idempotency keys and rotations of ticket keys."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("source", sa.String(255), nullable=False),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("finished_at", sa.Double),
        sa.Column("digest", sa.String(64)),
        sa.Column("size", sa.BigInteger),
        sa.Column("plan", sa.JSON),
        sa.Column("artifact", sa.String(64)),
        sa.Column("error", sa.JSON),
        sa.Column("traceparent", sa.String(55)),
        sa.Column("attempt", sa.Integer, nullable=False, default=0),
        sa.Column("crashes", sa.Integer, nullable=False, default=0),
        sa.Column("worker_losses", sa.Integer, nullable=False, default=0),
        sa.Column("lease_owner", sa.String(255)),
        sa.Column("lease_expires_at", sa.Double),
        sa.Column("published_at", sa.Double),
        sa.Column("publications", sa.Integer, nullable=False, default=0),
        sa.Column("queue", sa.String(63), nullable=False, server_default="render"),
        sa.Column("webhook", sa.String(500)),
        sa.Column("webhook_pending", sa.Boolean, nullable=False, server_default=sa.false()),
        **_TABLE,
    )
    op.create_index("jobs_newest", "jobs", ["tenant", "created_at", "id"])
    op.create_index("jobs_by_state", "jobs", ["state", "updated_at"])
    op.create_index("jobs_by_tenant", "jobs", ["tenant", "state", "queue"])
    op.create_index("jobs_by_artifact", "jobs", ["tenant", "artifact"])
    op.create_index("jobs_by_source", "jobs", ["source"])
    op.create_index("jobs_by_webhook", "jobs", ["webhook_pending", "state"])
    op.create_table(
        "attempts",
        sa.Column("job", sa.String(36), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("lease_owner", sa.String(255), nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("cause", sa.String(32)),
        sa.Column("explanation", sa.Text),
        sa.Column("facts", sa.JSON),
        **_TABLE,
    )
    op.create_index("attempts_by_end", "attempts", ["ended_at"])
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant", sa.String(63), primary_key=True),
        sa.Column("idempotency_key", sa.String(255), primary_key=True),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("job", sa.String(36)),
        **_TABLE,
    )
    op.create_index("idempotency_keys_by_job", "idempotency_keys", ["job"])
    op.create_table(
        "rotations",
        sa.Column("fleet", sa.String(63), primary_key=True),
        sa.Column("generation", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("fencing_token", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("rotated_at", sa.Double),
        sa.Column("requested_at", sa.Double),
        sa.Column("lease_owner", sa.String(255)),
        sa.Column("lease_expires_at", sa.Double),
        sa.Column("result", sa.String(63), nullable=False, server_default=""),
        **_TABLE,
    )


def downgrade() -> None:
    for table in ("rotations", "idempotency_keys", "attempts", "jobs"):
        op.drop_table(table)
