"""`Prefer: wait=N` (RFC 7240): the client would rather wait N seconds than be told 202."""

from __future__ import annotations

import re

MAX_WAIT = 30  # seconds; longer waits would be cut by proxies

WAIT_PREFERENCE = re.compile(r'\s*wait\s*=\s*"?(\d{1,6})"?\s*(;.*)?', re.IGNORECASE)


def parse_wait(headers: list[str]) -> int | None:
    """Seconds that the client is willing to wait, 30 at most; None if it did not say. The first one counts."""
    for preference in ",".join(headers).split(","):
        if found := WAIT_PREFERENCE.fullmatch(preference):
            return min(MAX_WAIT, int(found.group(1)))
    return None
