"""Converts machines to rows of the table and back, in bulk. A row is complete, so writing it twice does no harm."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from math import inf, isinf
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from tasks.heartbeats import READINGS
from workers.heartbeats.machine import Machine, Totals
from workers.heartbeats.schema import machines

# Rows of one statement. A row has at most 520 bytes, so a statement stays near 1 MB: max_allowed_packet may be that
# small, and a statement of all rows would be 30 MB.
CHUNK_ROWS = 2_000

COLUMNS = ", ".join(column.name for column in machines.columns)
INSERT_SQL = f"INSERT INTO machines ({COLUMNS}) VALUES "  # noqa: S608 - constant names
PLACEHOLDERS = ", ".join("?" for _ in machines.columns)
UPDATED_COLUMNS = [column.name for column in machines.columns if not column.primary_key]

# Updated in place: REPLACE would delete each row first, and lose the values of columns that an operator has added.
_MARIADB_UPSERT = " ON DUPLICATE KEY UPDATE " + ", ".join(f"{name}=VALUES({name})" for name in UPDATED_COLUMNS)
_SQLITE_UPSERT = " ON CONFLICT (plant, machine) DO UPDATE SET " + ", ".join(
    f"{name}=excluded.{name}" for name in UPDATED_COLUMNS
)

Row = tuple[Any, ...]


def to_row(machine: Machine) -> Row:
    """The values of the table's columns. Minimum and maximum of no values are infinite."""
    return (
        machine.plant,
        machine.machine,
        machine.seen_at,
        machine.status,
        *machine.readings,
        machine.seq,
        machine.seen_mask,
        machine.beats,
        *chain.from_iterable(machine.totals),
    )


def from_row(row: Sequence[Any]) -> Machine:
    """The machine that a row describes."""
    plant, name, seen_at, status, *numbers = row
    machine = Machine(plant, name)
    machine.seen_at, machine.status = seen_at, status
    machine.readings = tuple(numbers[: len(READINGS)])
    machine.seq, machine.seen_mask, machine.beats, *totals = numbers[len(READINGS) :]
    machine.totals = [_totals(totals[start : start + 4]) for start in range(0, len(totals), 4)]
    return machine


def upsert(connection: Connection, rows: Sequence[Row]) -> None:
    """Insert rows, or update those that exist. At most CHUNK_ROWS."""
    if connection.dialect.name == "sqlite":
        finite = [tuple(None if isinstance(v, float) and isinf(v) else v for v in row) for row in rows]
        connection.exec_driver_sql(f"{INSERT_SQL}({PLACEHOLDERS}){_SQLITE_UPSERT}", finite)
    else:
        connection.exec_driver_sql((INSERT_SQL + sql_values(rows) + _MARIADB_UPSERT).replace("%", "%%"))


def sql_values(rows: Sequence[Row]) -> str:
    """Rows as SQL: `("ulm","press-07",1.5,null), (…)`.

    JSON writes numbers, null and plain strings as MariaDB reads them, and msgspec takes a tenth of the time that the
    driver needs for as many parameters. Raises ValueError if a string could be read as SQL.
    """
    text = msgspec.json.encode(rows)  # infinity becomes null
    if b"\\" in text or text.count(b"],[") != len(rows) - 1:
        raise ValueError("a name or a status contains quotes or brackets")
    return "(" + text[2:-2].decode("ascii").replace("],[", "),(") + ")"


def read(connection: Connection, plant: str, names: Iterable[str]) -> Iterator[Machine]:
    """Those machines of a plant that are in the table."""
    ordered = sorted(names)
    for start in range(0, len(ordered), CHUNK_ROWS):
        chunk = ordered[start : start + CHUNK_ROWS]
        query = select(machines).where(machines.c.plant == plant, machines.c.machine.in_(chunk))
        for row in connection.execute(query):
            yield from_row(row)


def _totals(values: Sequence[Any]) -> Totals:
    count, total, low, high = values
    return count, total, inf if low is None else low, -inf if high is None else high
