"""Who is told of a job's end, and whether that is still to be done."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("webhook", sa.String(500)))
    op.add_column("jobs", sa.Column("webhook_pending", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("jobs_by_webhook", "jobs", ["webhook_pending", "state"])


def downgrade() -> None:
    op.drop_index("jobs_by_webhook", "jobs")
    op.drop_column("jobs", "webhook_pending")
    op.drop_column("jobs", "webhook")
