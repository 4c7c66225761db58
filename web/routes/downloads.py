"""Sends a file of a render's artifacts. The outputs of a job never change, so clients may cache them."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from typing import Any, BinaryIO

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from tasks.jobs import Job, State
from tasks.renders import artifact_prefix
from tasks.storage import ObjectNotFound
from web.dependencies import Services
from web.problems import Problem

MAX_CACHED_FILE = 4 << 20  # bytes; files up to this size, as most are, are cached and sent in one piece
CHUNK_SIZE = 1 << 20  # bytes that are read at a time from larger files


async def send_output(request: Request, services: Services, job: Job, name: str, media_type: str) -> Response:
    """Send one file of the job's artifacts. Raises a 404 problem if it does not exist."""
    if job.state is not State.SUCCEEDED or job.artifact is None:
        raise Problem(404, "not-rendered", f"The render is {job.state}. It has outputs only after it succeeds.")
    headers = {
        "etag": etag_of(job.artifact, name),
        "cache-control": "private, max-age=31536000, immutable",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
    }
    if etag_matches(headers["etag"], request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    try:
        beginning, size, more = await open_output(services, f"{artifact_prefix(job.tenant, job.artifact)}/{name}")
    except ObjectNotFound as error:
        raise Problem(
            404, "no-such-output", f"This render has no {name}. See its manifest for the available outputs."
        ) from error
    headers["content-length"] = str(size)
    if more is None:
        return Response(b"" if request.method == "HEAD" else beginning, 200, headers, media_type)
    if request.method == "HEAD":
        more.close()
        return Response(b"", 200, headers, media_type)
    return StreamingResponse(throttled(services, more, beginning), 200, headers, media_type)


async def open_output(services: Services, key: str) -> tuple[bytes, int, BinaryIO | None]:
    """As `read_beginning`, with a cache of small files. Raises ObjectNotFound."""
    cached = services.output_cache.get(key)
    if cached is not None:
        return cached, len(cached), None
    beginning, size, more = await services.run_read(read_beginning, services.store.open_read, key)
    if more is None:
        services.output_cache[key] = beginning
    return beginning, size, more


def read_beginning(open_read: Any, key: str) -> tuple[bytes, int, BinaryIO | None]:
    """Open an object. Returns all of it or its first chunk, its size in bytes, and the open file if there is more."""
    file: BinaryIO = open_read(key)
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size > MAX_CACHED_FILE:
        return file.read(CHUNK_SIZE), size, file
    with file:
        return file.read(), size, None


async def throttled(services: Services, file: BinaryIO, chunk: bytes) -> AsyncIterator[bytes]:
    """Yield `chunk` and the rest of the file, at most at the download rate limit."""
    clock = asyncio.get_running_loop().time
    started, sent = clock(), 0
    try:
        while chunk:
            await asyncio.sleep(delay(sent, clock() - started, services.settings.output_rate))
            yield chunk
            sent += len(chunk)
            chunk = await services.run_read(file.read, CHUNK_SIZE)
    finally:
        file.close()


def delay(sent: int, elapsed: float, rate: int) -> float:
    """Seconds to wait so that `sent` bytes in `elapsed` seconds do not exceed `rate` bytes per second."""
    return max(0.0, sent / rate - elapsed)


def etag_of(artifact: str, name: str) -> str:
    """A strong validator that does not reveal the artifact's secret key; the same artifact has the same bytes."""
    return f'"{hashlib.sha256(f"{artifact}/{name}".encode()).hexdigest()[:32]}"'


def etag_matches(etag: str, if_none_match: str | None) -> bool:
    """Whether the client has this version (RFC 9110, weak comparison)."""
    if if_none_match is None:
        return False
    known = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in known or etag.removeprefix("W/") in known
