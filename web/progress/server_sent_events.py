"""Server-sent events (WHATWG HTML, 9.2): formatting and streaming response."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse

MEDIA_TYPE = "text/event-stream"
KEEP_ALIVE = ": keep-alive\n\n"  # a comment, which browsers ignore and proxies see as traffic
KEEP_ALIVE_INTERVAL = 15.0  # seconds between two keep-alive comments at most, as the standard advises


def stream_response(events: AsyncIterator[str]) -> StreamingResponse:
    """A response that streams `events`."""
    return StreamingResponse(events, 200, {"cache-control": "no-store", "x-accel-buffering": "no"}, MEDIA_TYPE)


def format_event(kind: str, data: str, event_id: str = "") -> str:
    """Format one event; `data` is a single line. Reconnecting browsers send the last `event_id` as Last-Event-ID."""
    return f"id: {event_id}\nevent: {kind}\ndata: {data}\n\n" if event_id else f"event: {kind}\ndata: {data}\n\n"


def keep_alive_delay() -> float:
    """Seconds until the next keep-alive comment.

    Random, because streams that were opened together would otherwise all send at once and delay uploads.
    """
    return random.uniform(KEEP_ALIVE_INTERVAL / 2, KEEP_ALIVE_INTERVAL)
