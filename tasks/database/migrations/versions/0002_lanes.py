"""The queue of every job, and the index that a tenant's jobs are counted by."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("queue", sa.String(63), nullable=False, server_default="render"))
    op.create_index("jobs_by_tenant", "jobs", ["tenant", "state", "queue"])


def downgrade() -> None:
    op.drop_index("jobs_by_tenant", "jobs")
    op.drop_column("jobs", "queue")
