"""How far the rotation of ticket keys has come: numbers and names of holders, no key."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
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
    op.drop_table("rotations")
