"""Cursors of a list: opaque to clients, the last job's time and id to us."""

from __future__ import annotations

import base64
import binascii
import json
import math

from web.problems import Problem


def encode_cursor(position: tuple[float, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> tuple[float, str] | None:
    """Raises a 422 problem for anything that `encode_cursor` did not make."""
    if cursor is None:
        return None
    try:
        created_at, job = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not (isinstance(created_at, float) and math.isfinite(created_at) and isinstance(job, str)):
            raise ValueError
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        detail = "This cursor is not one of ours: take it from 'next' of the page before."
        raise Problem(422, "invalid-cursor", detail) from error
    return created_at, job
