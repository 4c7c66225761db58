"""`Prefer: wait=N` (RFC 7240): the client prefers to wait up to N seconds for the result instead of a 202."""

from __future__ import annotations

import re

MAX_WAIT = 30  # seconds; proxies would cut longer waits

WAIT_PREFERENCE = re.compile(r'\s*wait\s*=\s*"?(\d{1,6})"?\s*(;.*)?', re.IGNORECASE)


def parse_wait(headers: list[str]) -> int | None:
    """Seconds that the client is willing to wait, at most 30; None without the preference. The first one counts."""
    for preference in ",".join(headers).split(","):
        if match := WAIT_PREFERENCE.fullmatch(preference):
            return min(MAX_WAIT, int(match.group(1)))
    return None
