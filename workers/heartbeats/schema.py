"""The tables of heartbeats. They change only through a migration in `migrations/versions`."""

from typing import Any

from sqlalchemy import BigInteger, Column, Double, Float, Integer, MetaData, String, Table

from tasks.heartbeats import READINGS

metadata = MetaData()

# Names are ASCII; `_bin` makes MariaDB compare them byte by byte, as SQLite does.
_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "ascii", "mysql_collate": "ascii_bin"}


def _totals(reading: str) -> list[Column[Any]]:
    return [
        Column(f"{reading}_count", BigInteger, nullable=False),
        Column(f"{reading}_sum", Double, nullable=False),
        Column(f"{reading}_min", Double),
        Column(f"{reading}_max", Double),
    ]


machines = Table(
    "machines",
    metadata,
    Column("plant", String(63), primary_key=True),
    Column("machine", String(64), primary_key=True),
    Column("seen_at", Double, nullable=False),
    Column("status", String(16), nullable=False),
    *(Column(reading, Double) for reading in READINGS),
    Column("seq", BigInteger, nullable=False),
    Column("seen_mask", BigInteger, nullable=False),
    Column("beats", BigInteger, nullable=False),
    *(column for reading in READINGS for column in _totals(reading)),
    **_TABLE,
)

# One row a source: who holds the lease to write, and the result of the last flush.
heartbeat_sources = Table(
    "heartbeat_sources",
    metadata,
    Column("source", String(63), primary_key=True),
    Column("lease_owner", String(128)),
    Column("lease_expires_at", Double, nullable=False, default=0.0),
    Column("flushed_at", Double),
    Column("flush_seconds", Float),
    Column("flush_rows", Integer),
    Column("flush_beats", BigInteger),
    Column("flush_retries", Integer),
    Column("window_seconds", Float),
    Column("received_at", Double),
    **_TABLE,
)

# The last record of each partition of a source that is folded into `machines`.
heartbeat_offsets = Table(
    "heartbeat_offsets",
    metadata,
    Column("source", String(63), primary_key=True),
    Column("partition_id", Integer, primary_key=True, autoincrement=False),
    Column("last_offset", BigInteger, nullable=False),
    Column("last_checksum", BigInteger, nullable=False),
    **_TABLE,
)
