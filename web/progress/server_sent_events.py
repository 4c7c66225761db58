"""Server-sent events (WHATWG HTML, 9.2): how one is written, and the answer that carries them."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse

MEDIA_TYPE = "text/event-stream"
KEEP_ALIVE = ": still here\n\n"  # a comment: browsers skip it, and what is between keeps the line open
KEEP_ALIVE_INTERVAL = 15.0  # seconds at most between two signs of life, as the standard advises


def stream_response(events: AsyncIterator[str]) -> StreamingResponse:
    """The answer that lasts as long as there are `events`."""
    return StreamingResponse(events, 200, {"cache-control": "no-store", "x-accel-buffering": "no"}, MEDIA_TYPE)


def format_event(kind: str, data: str, event_id: str = "") -> str:
    """One event; `data` is one line. A browser that comes back tells the last `name` as its Last-Event-ID."""
    return f"id: {event_id}\nevent: {kind}\ndata: {data}\n\n" if event_id else f"event: {kind}\ndata: {data}\n\n"


def keep_alive_delay() -> float:
    """Seconds of silence after which to give a sign of life: others each time, for streams that were opened together
    would go on speaking together, and whoever sends a drawing in that moment would wait for all of them.
    """
    return random.uniform(KEEP_ALIVE_INTERVAL / 2, KEEP_ALIVE_INTERVAL)
