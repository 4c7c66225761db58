"""Attempts by when they ended, for what is told of the last minutes."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_index("attempts_by_end", "attempts", ["ended_at"])


def downgrade() -> None:
    op.drop_index("attempts_by_end", "attempts")
