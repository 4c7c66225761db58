"""Authentication by token, or by loopback without tokens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.settings.types import is_loopback
from tests.unit.web.support import TestClient
from web.access.authentication import find_tenant
from web.app import create_app
from web.dependencies import Services

TOKENS = {"first-token-123456": "acme", "second-token-12345": "rival", "third-token-äöü-12": "third"}


@pytest.mark.parametrize(("token", "tenant"), [*TOKENS.items(), ("first-token-12345", None), ("", None)])
def test_given_a_token_when_looked_up_then_only_an_exact_match_has_a_tenant(token: str, tenant: str | None) -> None:
    assert find_tenant(token, TOKENS) == tenant


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *(("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True)),
        *(("10.0.0.1", False), ("localhost.evil.example", False), ("", False), (None, False)),
    ],
)
def test_given_a_host_then_only_loopback_addresses_and_names_are_loopback(host: str | None, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize("header", [None, "Bearer unknown-token-00", "Basic dXNlcjpwYXNz", "Bearer"])
def test_given_tokens_when_no_valid_one_is_sent_then_401_says_what_to_send(
    client: TestClient, header: str | None
) -> None:
    del client.headers["authorization"]
    headers = {"authorization": header} if header else {}
    answer = client.get("/renders", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "token" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("client_host", "base", "headers", "status"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080", {}, 200),
        ("::1", "http://localhost:8080", {}, 200),
        ("127.0.0.1", "http://127.0.0.1:8080", {"origin": "http://localhost:5173"}, 200),
        ("192.168.1.5", "http://127.0.0.1:8080", {}, 401),
        ("127.0.0.1", "http://rebound.example:8080", {}, 401),
        ("127.0.0.1", "http://127.0.0.1:8080", {"origin": "https://evil.example"}, 401),
        ("127.0.0.1", "http://127.0.0.1:8080", {"origin": "null"}, 401),
        ("127.0.0.1", "http://127.0.0.1:8080", {"origin": "http://[nonsense"}, 401),
    ],
)
def test_given_no_tokens_then_only_loopback_and_its_own_pages_are_served(
    services: Services, client_host: str, base: str, headers: dict[str, str], status: int
) -> None:
    without_tokens = replace(services, settings=services.settings.model_copy(update={"tokens": {}}))
    with TestClient(create_app(services=without_tokens), base_url=base, client=(client_host, 5)) as client:
        answer = client.get("/renders", headers=headers)

    assert answer.status_code == status
    if status == 401:
        assert "must set BULKHEAD_TOKENS" in answer.json()["detail"]
