"""Who asks: a Bearer token names a tenant. While no token is configured, only this machine is served."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from web.dependencies import Services, get_services
from web.problems import Problem

LOCAL_TENANT = "local"

bearer = HTTPBearer(auto_error=False, description="A token of BULKHEAD_TOKENS. Without any, only loopback is served.")
plant_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="PlantToken",
    description="A token of BULKHEAD_PLANT_TOKENS. Without any, only loopback is served, for any plant.",
)


def find_tenant(token: str, tokens: Mapping[str, str]) -> str | None:
    """The tenant whose token this is. Takes the same time wherever the tokens differ."""
    given = hashlib.sha256(token.encode()).digest()
    found = None
    for known, tenant in tokens.items():
        if hmac.compare_digest(given, hashlib.sha256(known.encode()).digest()):
            found = tenant
    return found


@lru_cache(maxsize=1024)
def is_loopback(host: str | None) -> bool:
    """Whether `host` is an address or name of this very machine."""
    if host is None:
        return False
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(url: str) -> str | None:
    """The host of an address; None if it has none, or is no address."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


async def authenticate_tenant(
    request: Request,
    house: Annotated[Services, Depends(get_services)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> str:
    """The tenant of this request. Raises a 401 problem."""
    return check_token(request, credentials, house.settings.tokens, "BULKHEAD_TOKENS") or LOCAL_TENANT


async def authenticate_plant(
    request: Request,
    house: Annotated[Services, Depends(get_services)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(plant_bearer)],
) -> str | None:
    """The plant that this request may speak for and look at; None for any. Raises a 401 problem."""
    return check_token(request, credentials, house.settings.plant_tokens, "BULKHEAD_PLANT_TOKENS")


def check_token(
    request: Request, credentials: HTTPAuthorizationCredentials | None, tokens: Mapping[str, str], variable: str
) -> str | None:
    """Whose token came with the request; None from this very machine while there are none. Raises a 401 problem."""
    if not tokens:
        # A page of another site that the browser on this machine shows (or a name that it rebinds) is a stranger.
        origin = host_of(request.headers.get("origin", "//localhost"))
        client = request.client.host if request.client else None
        if all(map(is_loopback, (client, request.url.hostname, origin))):
            return None
        raise unauthorized(f"No token is configured, so only this machine is served: set {variable}.")
    if credentials is None:
        raise unauthorized("Send a token as 'Authorization: Bearer …'.")
    known = find_tenant(credentials.credentials, tokens)
    if known is None:
        raise unauthorized("This token is not known: ask the operator for one.")
    return known


def unauthorized(detail: str) -> Problem:
    return Problem(401, "unauthenticated", detail, headers={"www-authenticate": "Bearer"})


Tenant = Annotated[str, Depends(authenticate_tenant)]
AllowedPlant = Annotated[str | None, Depends(authenticate_plant)]
