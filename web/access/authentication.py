"""Authentication: bearer tokens of tenants and plants.

If no tokens are configured, only requests from loopback are accepted.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from tasks.settings.types import is_loopback
from web.dependencies import Services, get_services
from web.problems import Problem

LOCAL_TENANT = "local"

bearer = HTTPBearer(
    auto_error=False,
    description="A token of BULKHEAD_TOKENS. If none is configured, only requests from loopback are accepted.",
)
plant_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="PlantToken",
    description="A token of BULKHEAD_PLANT_TOKENS. If none is configured, only requests from loopback are "
    "accepted, for any plant.",
)


def find_tenant(token: str, tokens: Mapping[str, str]) -> str | None:
    """The tenant of the token, or None. Compares in constant time."""
    digest = hashlib.sha256(token.encode()).digest()
    match = None
    for known, tenant in tokens.items():
        if hmac.compare_digest(digest, hashlib.sha256(known.encode()).digest()):
            match = tenant
    return match


def host_of(url: str) -> str | None:
    """The host of a URL; None if it has none or is invalid."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


async def authenticate_tenant(
    request: Request,
    services: Annotated[Services, Depends(get_services)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> str:
    """The tenant of this request. Raises a 401 problem."""
    return check_token(request, credentials, services.settings.tokens, "BULKHEAD_TOKENS") or LOCAL_TENANT


async def authenticate_plant(
    request: Request,
    services: Annotated[Services, Depends(get_services)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(plant_bearer)],
) -> str | None:
    """The plant that this request may write and read; None for any. Raises a 401 problem."""
    return check_token(request, credentials, services.settings.plant_tokens, "BULKHEAD_PLANT_TOKENS")


def check_token(
    request: Request, credentials: HTTPAuthorizationCredentials | None, tokens: Mapping[str, str], variable: str
) -> str | None:
    """Tenant or plant of the bearer token; None for loopback if no tokens are configured. Raises a 401 problem."""
    if not tokens:
        # Reject pages of other sites in a local browser (Origin), and DNS rebinding (Host).
        origin = host_of(request.headers.get("origin", "//localhost"))
        client = request.client.host if request.client else None
        if all(map(is_loopback, (client, request.url.hostname, origin))):
            return None
        raise unauthorized(
            "This server accepts only requests from its own host (loopback), because no token is configured. "
            f"The operator must set {variable}."
        )
    if credentials is None:
        raise unauthorized("Send a token as 'Authorization: Bearer …'.")
    name = find_tenant(credentials.credentials, tokens)
    if name is None:
        raise unauthorized("This token is not valid. Ask the operator for one.")
    return name


def unauthorized(detail: str) -> Problem:
    return Problem(401, "unauthenticated", detail, headers={"www-authenticate": "Bearer"})


Tenant = Annotated[str, Depends(authenticate_tenant)]
AllowedPlant = Annotated[str | None, Depends(authenticate_plant)]
