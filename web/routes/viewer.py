"""The viewer: one page at `/`, and its assets, whose names contain a hash of their content.

It is also served at `/viewer/`, for sites that have a front page of their own; these may embed the viewer in frames.
`setup/viewer.sh` builds the viewer from `web/viewer`. The rest of the API works without it.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as File
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from web.dependencies import ServicesDep
from web.problems import Problem
from web.routes.downloads import etag_matches

BUILT = File(__file__).parents[1] / "viewer" / "dist"
INDEX = "index.html"
KEPT = 64  # files, some of them of the version before
COMPRESSIBLE = (".js", ".css", ".html", ".svg")

# Scripts and styles are files of ours, and nothing else is; who may show the page inside another one is said beside it.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
NOBODY = "'none'"
GUARDED = {
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
FOR_EVER = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Asset:
    """A file of the built viewer, ready to send. Compressed once: it is small and asked for often.

    Its validator is a weak one, for it stands for both forms.
    """

    body: bytes
    packed: bytes | None
    media_type: str
    etag: str


@router.get("/")
@router.head("/")
async def index(request: Request) -> Response:
    """The page. Browsers revalidate it at each visit; it names the assets of its version."""
    return page(request, NOBODY)


@router.get("/viewer/")
@router.head("/viewer/")
async def framed(request: Request, services: ServicesDep) -> Response:
    """The page, for embedding in frames of the sites in the settings."""
    return page(request, services.settings.viewer_frame_ancestors)


def page(request: Request, frames: str) -> Response:
    """The page; `frames` are those who may show it inside their own, as in Content-Security-Policy."""
    asset = load(INDEX)
    if asset is None:
        detail = "The viewer is not built. Run `make viewer` and reload. The API works without it: see /docs."
        raise Problem(404, "viewer-not-built", detail)
    return answer(request, asset, "no-cache", frames)


@router.get("/assets/{name}")
@router.head("/assets/{name}")
@router.get("/viewer/assets/{name}")
@router.head("/viewer/assets/{name}")
async def asset(
    request: Request, name: Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$", max_length=100)]
) -> Response:
    """A script, style or picture of the page."""
    found = load(f"assets/{name}")
    if found is None:
        raise Problem(404, "no-such-asset", "There is no such asset. The viewer may have been rebuilt: reload the page.")
    return answer(request, found, FOR_EVER)


def answer(request: Request, asset: Asset, caching: str, frames: str = NOBODY) -> Response:
    headers = {**GUARDED, "cache-control": caching, "etag": asset.etag, "vary": "accept-encoding"}
    headers["content-security-policy"] = f"{POLICY}; frame-ancestors {frames}"
    if etag_matches(asset.etag, request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    body = asset.body
    if asset.packed and "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        body = asset.packed
    return Response(body, 200, headers, asset.media_type)


def load(name: str) -> Asset | None:
    """The file of that name, None if it is not there."""
    file = BUILT / name
    try:
        return read(file, file.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


@lru_cache(maxsize=KEPT)
def read(file: File, _changed_at: int) -> Asset:
    """A file as it was at that time."""
    body = file.read_bytes()
    packed = gzip.compress(body, mtime=0) if file.suffix in COMPRESSIBLE else None
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return Asset(body, packed, media_type, f'W/"{hashlib.sha256(body).hexdigest()[:32]}"')
