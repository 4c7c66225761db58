"""A position for each partition of a source."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "ascii", "mysql_collate": "ascii_bin"}


def upgrade() -> None:
    op.create_table(
        "heartbeat_offsets",
        sa.Column("source", sa.String(63), primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last_offset", sa.BigInteger, nullable=False),
        sa.Column("last_mark", sa.BigInteger, nullable=False),
        **_TABLE,
    )
    op.execute(
        "INSERT INTO heartbeat_offsets (source, part, last_offset, last_mark) SELECT source, 0, last_offset, last_mark "
        "FROM heartbeat_positions WHERE last_offset IS NOT NULL"
    )
    op.drop_column("heartbeat_positions", "last_offset")
    op.drop_column("heartbeat_positions", "last_mark")


def downgrade() -> None:
    op.add_column("heartbeat_positions", sa.Column("last_offset", sa.BigInteger))
    op.add_column("heartbeat_positions", sa.Column("last_mark", sa.BigInteger))
    for column in ("last_offset", "last_mark"):
        op.execute(
            f"UPDATE heartbeat_positions SET {column} = (SELECT {column} FROM heartbeat_offsets o "  # noqa: S608
            "WHERE o.source = heartbeat_positions.source AND o.part = 0)"
        )
    op.drop_table("heartbeat_offsets")
