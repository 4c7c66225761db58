"""The outputs of a render. A job's outputs never change, so clients may keep them."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse

from tasks.ledger import Job, State
from tasks.renders import artifact_prefix
from tasks.store import MANIFEST, NotFound
from web.problems import Problem, declare
from web.readers import OutputJob
from web.services import House, Services

CHUNK = 1 << 20  # bytes read in one trip to a thread; most outputs need one
WEBP = "image/webp"
PNG = "image/png"
DZI = "application/xml"
JSON = "application/json"

Number = Annotated[int, Path(ge=0, le=99_999)]
Endpoint = Callable[..., Awaitable[Response]]

router = APIRouter(tags=["outputs"])


def declared(media_type: str) -> dict[int | str, dict[str, Any]]:
    """The answers of an output for OpenAPI."""
    schema = {"type": "object"} if media_type == JSON else {"type": "string", "contentMediaType": media_type}
    etag = {"ETag": {"description": "Validator for If-None-Match.", "schema": {"type": "string"}}}
    return {
        200: {"description": "The output.", "content": {media_type: {"schema": schema}}, "headers": etag},
        304: {"description": "It is as the client knows it.", "headers": etag},
        **declare(401, 404, 422, 503),
    }


def output(path: str, media_type: str) -> Callable[[Endpoint], Endpoint]:
    """Serve an output of a render at `path`, for GET and HEAD."""

    def register(endpoint: Endpoint) -> Endpoint:
        for method in (router.get, router.head):
            method(f"/renders/{{render}}/{path}", response_class=Response, responses=declared(media_type))(endpoint)
        return endpoint

    return register


@output("manifest.json", JSON)
async def manifest(request: Request, house: House, job: OutputJob) -> Response:
    """What was made: layers, sizes, checksums, warnings."""
    return await serve(request, house, job, MANIFEST, JSON)


@output("preview.webp", WEBP)
async def preview(request: Request, house: House, job: OutputJob) -> Response:
    """All visible layers in one picture."""
    return await serve(request, house, job, "preview.webp", WEBP)


@output("preview.png", PNG)
async def preview_png(request: Request, house: House, job: OutputJob) -> Response:
    """The preview of a render that was asked for as PNG."""
    return await serve(request, house, job, "preview.png", PNG)


@output("layers/{number}.webp", WEBP)
async def layer(request: Request, house: House, job: OutputJob, number: Number) -> Response:
    """One layer, transparent where nothing is drawn; the manifest says which."""
    return await serve(request, house, job, f"layers/{number:03d}.webp", WEBP)


@output("layers/{number}.png", PNG)
async def layer_png(request: Request, house: House, job: OutputJob, number: Number) -> Response:
    """One layer of a render that was asked for as PNG."""
    return await serve(request, house, job, f"layers/{number:03d}.png", PNG)


@output("tiles.dzi", DZI)
async def tiles(request: Request, house: House, job: OutputJob) -> Response:
    """Descriptor of the Deep Zoom tiles, if they were asked for (`tiles`)."""
    return await serve(request, house, job, "tiles.dzi", DZI)


@output("tiles_files/{level}/{column}_{row}.webp", WEBP)
async def tile(request: Request, house: House, job: OutputJob, level: Number, column: Number, row: Number) -> Response:
    """One tile; level 0 is the smallest."""
    return await serve(request, house, job, f"tiles_files/{level}/{column}_{row}.webp", WEBP)


@output("layers/{number}.dzi", DZI)
async def layer_tiles(request: Request, house: House, job: OutputJob, number: Number) -> Response:
    """Descriptor of one layer's tiles, if they were asked for (`layer_tiles`, or `tile_layer` for it alone)."""
    return await serve(request, house, job, f"layers/{number:03d}.dzi", DZI)


@output("layers/{number}_files/{level}/{column}_{row}.webp", WEBP)
async def layer_tile(
    request: Request,
    house: House,
    job: OutputJob,
    number: Number,
    level: Number,
    column: Number,
    row: Number,
) -> Response:
    """One tile of one layer."""
    return await serve(request, house, job, f"layers/{number:03d}_files/{level}/{column}_{row}.webp", WEBP)


async def serve(request: Request, house: Services, job: Job, name: str, media_type: str) -> Response:
    """One file of the job's artifacts. Raises a 404 problem while there is none."""
    if job.state is not State.SUCCEEDED or job.artifact is None:
        raise Problem(404, "not-rendered", f"The render is {job.state}: it has outputs once it has succeeded.")
    headers = {
        "etag": etag_of(job.artifact, name),
        "cache-control": "private, max-age=31536000, immutable",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
    }
    if matches(headers["etag"], request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    key = f"{artifact_prefix(job.tenant, job.artifact)}/{name}"
    try:
        file, size, beginning = await house.look(begin, house.store.open_read, key)
    except NotFound as error:
        raise Problem(404, "no-such-output", f"This render has no {name}; its manifest lists what it has.") from error
    headers["content-length"] = str(size)
    if request.method == "HEAD" or len(beginning) == size:
        file.close()
        return Response(b"" if request.method == "HEAD" else beginning, 200, headers, media_type)
    return StreamingResponse(rest(house, file, beginning), 200, headers, media_type)


def begin(open_read: Any, key: str) -> tuple[BinaryIO, int, bytes]:
    """Open an object: the file, its size in bytes, and its first chunk."""
    file: BinaryIO = open_read(key)
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return file, size, file.read(CHUNK)


async def rest(house: Services, file: BinaryIO, chunk: bytes) -> AsyncIterator[bytes]:
    """`chunk` and what follows it, no faster than one download may go."""
    clock = asyncio.get_running_loop().time
    begun, sent = clock(), 0
    try:
        while chunk:
            await asyncio.sleep(ahead(sent, clock() - begun, house.settings.output_rate))
            yield chunk
            sent += len(chunk)
            chunk = await house.look(file.read, CHUNK)
    finally:
        file.close()


def ahead(sent: int, elapsed: float, rate: int) -> float:
    """Seconds by which `sent` bytes are ahead of `rate` bytes a second, `elapsed` seconds after the first of them."""
    return max(0.0, sent / rate - elapsed)


def etag_of(artifact: str, name: str) -> str:
    """A strong validator that does not give the artifact's secret name away: same artifact, same bytes."""
    return f'"{hashlib.sha256(f"{artifact}/{name}".encode()).hexdigest()[:32]}"'


def matches(etag: str, if_none_match: str | None) -> bool:
    """Whether the client has this very version (RFC 9110, weak comparison)."""
    if if_none_match is None:
        return False
    known = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in known or etag in known
