"""W3C trace context: the `traceparent` of a request is passed on with its job."""

from __future__ import annotations

import re

TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def parse_traceparent(header: str | None) -> str | None:
    """The header if it is valid; otherwise None, so that a new trace begins, as the specification requires."""
    return header if header and TRACEPARENT.fullmatch(header) else None
