"""`Idempotency-Key`: requests with the same key and content create one job."""

from __future__ import annotations

import hashlib
import json
import re

from tasks.renders import RenderOptions, canonical_options
from web.problems import Problem

HEADER = "Idempotency-Key"
KEY_PATTERN = r'^(?:"[!#-~]{1,255}"|[!#-~]{1,255})$'  # printable ASCII, optionally quoted
RETRY_AFTER = 1  # seconds; the first request with the key should be finished by then


def parse_key(header: str | None) -> str | None:
    """The key, or None without the header. Raises a 400 problem."""
    if header is None:
        return None
    if not re.fullmatch(KEY_PATTERN, header):
        detail = f"{HEADER} must be 1 to 255 printable ASCII characters without spaces, such as a UUID."
        raise Problem(400, "idempotency-key-malformed", detail)
    return header.strip('"')


def fingerprint(content: str, filename: str, options: RenderOptions, webhook: str | None = None) -> str:
    """Digest of a request. `content` is the digest of the upload or the key of the source."""
    parts = json.dumps([content, filename, canonical_options(options), *filter(None, [webhook])])
    return hashlib.sha256(parts.encode()).hexdigest()


def request_in_progress() -> Problem:
    detail = f"A request with this {HEADER} is in progress. Wait for its response or retry."
    return Problem(409, "request-in-progress", detail, headers={"retry-after": str(RETRY_AFTER)})


def key_reused() -> Problem:
    detail = f"This {HEADER} was used for a request with different content. Use a new key for a new request."
    return Problem(422, "idempotency-key-reused", detail)
