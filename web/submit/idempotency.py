"""`Idempotency-Key`: the same key and the same content are the same job, however often it is sent."""

from __future__ import annotations

import hashlib
import json
import re

from tasks.renders import RenderOptions, canonical_options
from web.problems import Problem

HEADER = "Idempotency-Key"
KEY_PATTERN = r'^(?:"[!#-~]{1,255}"|[!#-~]{1,255})$'  # printable ASCII, bare or quoted as a structured string
RETRY_AFTER = 1  # seconds; the first request with this key should be done by then


def parse_key(header: str | None) -> str | None:
    """The key, None without the header. Raises a 400 problem."""
    if header is None:
        return None
    if not re.fullmatch(KEY_PATTERN, header):
        detail = f"{HEADER} must be 1 to 255 printable ASCII characters without spaces, a UUID for example."
        raise Problem(400, "idempotency-key-malformed", detail)
    return header.strip('"')


def fingerprint(content: str, filename: str, options: RenderOptions, webhook: str | None = None) -> str:
    """What a request asked for: `content` is the digest of the upload or the key of the source."""
    parts = json.dumps([content, filename, canonical_options(options), *filter(None, [webhook])])
    return hashlib.sha256(parts.encode()).hexdigest()


def request_in_progress() -> Problem:
    detail = f"A request with this {HEADER} is being handled: wait for its answer, or ask again for it."
    return Problem(409, "request-in-progress", detail, headers={"retry-after": str(RETRY_AFTER)})


def key_reused() -> Problem:
    detail = f"This {HEADER} belongs to a request with other content: choose a new key for a new request."
    return Problem(422, "idempotency-key-reused", detail)
