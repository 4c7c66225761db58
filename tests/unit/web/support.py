"""Test doubles and helpers for the tests of the web server."""

from __future__ import annotations

import struct
import warnings
import zlib
from dataclasses import dataclass, field
from typing import Any

from web.dependencies import Services

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette recommends another HTTP library for its client
    from starlette.testclient import TestClient

__all__ = [
    "PLANT_TOKENS",
    "TOKENS",
    "Clock",
    "FakeBroker",
    "FakeDeadLetters",
    "FakeHeartbeatSink",
    "TestClient",
    "oversized_png",
    "png",
    "post",
    "stored_sources",
]

PLANT_TOKENS = {"token-of-plant-ulm": "ulm", "token-of-plant-bern": "bern"}
TOKENS = {"token-of-acme-0001": "acme", "token-of-rival-0001": "rival"}


@dataclass
class FakeBroker:
    """Records messages, or raises `error`. Each queue holds `depth` messages unless `depths` says otherwise."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    queues: list[str | None] = field(default_factory=list)
    depths: dict[str, int] = field(default_factory=dict)
    error: Exception | None = None
    depth: int = 0

    def publish(self, task: str, job_id: str, message: dict[str, Any], *, queue: str | None = None) -> None:
        assert (task, job_id) == ("render.blueprint", message["job"])
        if self.error:
            raise self.error
        self.messages.append(message)
        self.queues.append(queue)

    def queue_depth(self, queue: str) -> int:
        return self.depths.get(queue, self.depth)


@dataclass
class FakeHeartbeatSink:
    """Records heartbeats, or raises `error`."""

    bodies: list[bytes] = field(default_factory=list)
    error: Exception | None = None

    def publish(self, body: bytes) -> None:
        if self.error:
            raise self.error
        self.bodies.append(body)


@dataclass
class FakeDeadLetters:
    """Records which dead letters were deleted."""

    dropped: list[str] = field(default_factory=list)

    def delete(self, message_id: str) -> int:
        self.dropped.append(message_id)
        return 1


class Clock:
    """Monotonic seconds that only the test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def png(width: int = 8, height: int = 8, *, salt: bytes = b"") -> bytes:
    """A valid, tiny PNG. Another `salt` makes another file with the same image."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\x80" * width for _ in range(height)))
    text = [chunk(b"tEXt", b"Comment\0" + salt)] if salt else []
    parts = [chunk(b"IHDR", header), *text, chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def oversized_png(side: int) -> bytes:
    """A PNG whose header declares a huge interlaced image, which must be decoded as a whole."""
    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 1)
    head = b"IHDR" + header
    small = png()
    return small[:8] + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + small[33:]


def stored_sources(services: Services) -> list[str]:
    """The keys of all sources in the store."""
    return list(services.store.list("sources"))


def post(client: TestClient, drawing: bytes | None = None, headers: dict[str, str] | None = None, **fields: str) -> Any:
    """Upload a drawing as a browser's form does."""
    blueprint = ("plan.png", png() if drawing is None else drawing, "image/png")
    return client.post("/renders", files={"blueprint": blueprint}, data=fields, headers=headers)
