"""Clients of a real web server, for the HTTP tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from cli.embedded.process import Process
from tests.services.platform import Platform

TOKENS = {"token-of-acme-0001": "acme", "token-of-rival-0001": "rival"}


class ApiServer:
    """The web server of `platform`, and clients of two tenants."""

    def __init__(self, platform: Platform, process: Process) -> None:
        self.platform = platform
        self.process = process
        self.acme, self.rival = (
            httpx.Client(base_url=platform.url, headers={"authorization": f"Bearer {token}"}, timeout=30)
            for token in TOKENS
        )

    def post(self, drawing: bytes, headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
        """Upload a drawing as the tenant acme."""
        return self.acme.post("/renders", files={"blueprint": ("plan.png", drawing)}, data=fields, headers=headers)


@contextmanager
def open_api_server(platform: Platform, **settings: str) -> Iterator[ApiServer]:
    """Start the web server with tokens for two tenants."""
    api = ApiServer(platform, platform.start_web(tokens=json.dumps(TOKENS), **settings))
    try:
        yield api
    finally:
        api.acme.close()
        api.rival.close()
