"""The viewer: one page at `/`, and its assets, whose names contain a hash of their content.

It is also served at `/viewer/`, for sites that have a front page of their own; these may embed the viewer in frames.
`setup/viewer.sh` builds the viewer from `web/viewer`. The rest of the API works without it.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from web.dependencies import get_services
from web.problems import Problem
from web.routes.plain_route import PlainRoute

DIST = Path(__file__).parents[1] / "viewer" / "dist"
FILES = StaticFiles(directory=DIST, check_dir=False)

# Only files of this server may be loaded. `frame-ancestors` is added for each response.
CONTENT_SECURITY_POLICY = "; ".join(
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
NO_FRAMES = "'none'"
SECURITY_HEADERS = {
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
REVALIDATE = "no-cache"
IMMUTABLE = "public, max-age=31536000, immutable"


def routes() -> list[PlainRoute]:
    """The routes of the viewer, for GET and HEAD, whose responses are compressed."""
    endpoints = {
        "/": get_page,
        "/viewer/": get_embeddable_page,
        "/assets/{name}": get_asset,
        "/viewer/assets/{name}": get_asset,
    }
    compression = [Middleware(GZipMiddleware)]
    return [PlainRoute(path, endpoint, methods=["GET"], middleware=compression) for path, endpoint in endpoints.items()]


async def get_page(request: Request) -> Response:
    """The page. Browsers revalidate it at each visit; it names the assets of its version."""
    return await send_page(request, NO_FRAMES)


async def get_embeddable_page(request: Request) -> Response:
    """The page, for frames of the sites in the settings."""
    services = await get_services(request)
    return await send_page(request, services.settings.viewer_frame_ancestors)


async def get_asset(request: Request) -> Response:
    """A script, style sheet or image of the page."""
    try:
        return await send_file(request, f"assets/{request.path_params['name']}", IMMUTABLE, NO_FRAMES)
    except HTTPException as error:
        detail = "There is no such asset. The viewer may have been rebuilt: reload the page."
        raise Problem(404, "no-such-asset", detail) from error


async def send_page(request: Request, frame_ancestors: str) -> Response:
    """The page, which the sites in `frame_ancestors` may embed (as in Content-Security-Policy)."""
    try:
        return await send_file(request, "index.html", REVALIDATE, frame_ancestors)
    except HTTPException as error:
        detail = "The viewer is not built. Run `make viewer` and reload. The API works without it: see /docs."
        raise Problem(404, "viewer-not-built", detail) from error


async def send_file(request: Request, path: str, cache_control: str, frame_ancestors: str) -> Response:
    """A file of the built viewer with headers for caching and security. Raises HTTPException if it does not exist."""
    response = await FILES.get_response(path, request.scope)
    response.headers.update(SECURITY_HEADERS)
    response.headers["cache-control"] = cache_control
    response.headers["content-security-policy"] = f"{CONTENT_SECURITY_POLICY}; frame-ancestors {frame_ancestors}"
    # The compressed and the plain response share the validator, which must therefore be weak (RFC 9110, 8.8.3.3).
    response.headers["etag"] = f"W/{response.headers['etag']}"
    return response
