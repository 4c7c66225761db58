"""Create the tables of heartbeats."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "ascii", "mysql_collate": "ascii_bin"}


def upgrade() -> None:
    readings = ("rpm", "temperature_c", "vibration_mm_s")
    op.create_table(
        "machines",
        sa.Column("plant", sa.String(63), primary_key=True),
        sa.Column("machine", sa.String(64), primary_key=True),
        sa.Column("seen_at", sa.Double, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        *(sa.Column(reading, sa.Double) for reading in readings),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("seen_mask", sa.BigInteger, nullable=False),
        sa.Column("beats", sa.BigInteger, nullable=False),
        *(column for reading in readings for column in _totals(reading)),
        **_TABLE,
    )
    op.create_table(
        "heartbeat_sources",
        sa.Column("source", sa.String(63), primary_key=True),
        sa.Column("lease_owner", sa.String(128)),
        sa.Column("lease_expires_at", sa.Double, nullable=False),
        sa.Column("flushed_at", sa.Double),
        sa.Column("flush_seconds", sa.Float),
        sa.Column("flush_rows", sa.Integer),
        sa.Column("flush_beats", sa.BigInteger),
        sa.Column("flush_retries", sa.Integer),
        sa.Column("window_seconds", sa.Float),
        sa.Column("received_at", sa.Double),
        **_TABLE,
    )
    op.create_table(
        "heartbeat_offsets",
        sa.Column("source", sa.String(63), primary_key=True),
        sa.Column("partition_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last_offset", sa.BigInteger, nullable=False),
        sa.Column("last_checksum", sa.BigInteger, nullable=False),
        **_TABLE,
    )


def downgrade() -> None:
    op.drop_table("heartbeat_offsets")
    op.drop_table("heartbeat_sources")
    op.drop_table("machines")


def _totals(reading: str) -> list[sa.Column[Any]]:
    return [
        sa.Column(f"{reading}_count", sa.BigInteger, nullable=False),
        sa.Column(f"{reading}_sum", sa.Double, nullable=False),
        sa.Column(f"{reading}_min", sa.Double),
        sa.Column(f"{reading}_max", sa.Double),
    ]
