"""Request headers of a submission: `Prefer` and `traceparent`."""

from __future__ import annotations

import re

MAX_WAIT = 30  # seconds; proxies would cut longer waits

WAIT_PREFERENCE = re.compile(r'\s*wait\s*=\s*"?(\d{1,6})"?\s*(;.*)?', re.IGNORECASE)
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def parse_wait(headers: list[str]) -> int | None:
    """Seconds that the client waits for the result instead of a 202: the first `wait=N` (RFC 7240), at most 30.

    None without this preference.
    """
    for preference in ",".join(headers).split(","):
        if match := WAIT_PREFERENCE.fullmatch(preference):
            return min(MAX_WAIT, int(match.group(1)))
    return None


def parse_traceparent(header: str | None) -> str | None:
    """The header if it is valid (W3C trace context).

    Otherwise None, so that a new trace begins, as the specification requires.
    """
    return header if header and TRACEPARENT.fullmatch(header) else None
