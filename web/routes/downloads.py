"""Sending one file of a render's artifacts. A job's outputs never change, so clients may keep them."""

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

MAX_CACHED_FILE = 4 << 20  # bytes of outputs that are sent at once and remembered, as most are
CHUNK_SIZE = 1 << 20  # bytes of others that are read in one trip to a thread


async def send_output(request: Request, house: Services, job: Job, name: str, media_type: str) -> Response:
    """One file of the job's artifacts. Raises a 404 problem while there is none."""
    if job.state is not State.SUCCEEDED or job.artifact is None:
        raise Problem(404, "not-rendered", f"The render is {job.state}: it has outputs once it has succeeded.")
    headers = {
        "etag": etag_of(job.artifact, name),
        "cache-control": "private, max-age=31536000, immutable",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
    }
    if etag_matches(headers["etag"], request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    try:
        beginning, size, more = await open_output(house, f"{artifact_prefix(job.tenant, job.artifact)}/{name}")
    except ObjectNotFound as error:
        raise Problem(404, "no-such-output", f"This render has no {name}; its manifest lists what it has.") from error
    headers["content-length"] = str(size)
    if more is None:
        return Response(b"" if request.method == "HEAD" else beginning, 200, headers, media_type)
    if request.method == "HEAD":
        more.close()
        return Response(b"", 200, headers, media_type)
    return StreamingResponse(throttled(house, more, beginning), 200, headers, media_type)


async def open_output(house: Services, key: str) -> tuple[bytes, int, BinaryIO | None]:
    """What `begin` answers; an object that it read whole is remembered. Raises NotFound."""
    whole = house.output_cache.get(key)
    if whole is not None:
        return whole, len(whole), None
    beginning, size, more = await house.run_read(read_beginning, house.store.open_read, key)
    if more is None:
        house.output_cache[key] = beginning
    return beginning, size, more


def read_beginning(open_read: Any, key: str) -> tuple[bytes, int, BinaryIO | None]:
    """Open an object: all of it or its first chunk, its size in bytes, and the file if more follows."""
    file: BinaryIO = open_read(key)
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size > MAX_CACHED_FILE:
        return file.read(CHUNK_SIZE), size, file
    with file:
        return file.read(), size, None


async def throttled(house: Services, file: BinaryIO, chunk: bytes) -> AsyncIterator[bytes]:
    """`chunk` and what follows it, no faster than one download may go."""
    clock = asyncio.get_running_loop().time
    begun, sent = clock(), 0
    try:
        while chunk:
            await asyncio.sleep(delay(sent, clock() - begun, house.settings.output_rate))
            yield chunk
            sent += len(chunk)
            chunk = await house.run_read(file.read, CHUNK_SIZE)
    finally:
        file.close()


def delay(sent: int, elapsed: float, rate: int) -> float:
    """Seconds by which `sent` bytes are ahead of `rate` bytes a second, `elapsed` seconds after the first of them."""
    return max(0.0, sent / rate - elapsed)


def etag_of(artifact: str, name: str) -> str:
    """A strong validator that does not give the artifact's secret name away: same artifact, same bytes."""
    return f'"{hashlib.sha256(f"{artifact}/{name}".encode()).hexdigest()[:32]}"'


def etag_matches(etag: str, if_none_match: str | None) -> bool:
    """Whether the client has this very version (RFC 9110, weak comparison)."""
    if if_none_match is None:
        return False
    known = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in known or etag.removeprefix("W/") in known
