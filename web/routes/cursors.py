"""Pagination cursors: the creation time and id of the last job on the previous page."""

from __future__ import annotations

CURSOR_PATTERN = r"^[0-9]{1,12}\.[0-9]{1,9}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


def encode_cursor(position: tuple[float, str]) -> str:
    created_at, job = position
    return f"{created_at!r}_{job}"


def decode_cursor(cursor: str | None) -> tuple[float, str] | None:
    """The position encoded in a cursor, which must match CURSOR_PATTERN."""
    if cursor is None:
        return None
    created_at, _, job = cursor.partition("_")
    return float(created_at), job
