"""Signed links give temporary access to one render's outputs, and to nothing else."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tasks.settings import Settings
from tests.unit.web.support import TestClient, png, post
from web.access.signed_links import sign, signed_query
from web.dependencies import Services


@pytest.fixture
def anonymous(client: TestClient) -> TestClient:
    """A client without a token."""
    return TestClient(client.app, raise_server_exceptions=False)


@pytest.fixture
def rendered_links(client: TestClient, finish: Any) -> Any:
    """Create a succeeded render and return its links. Another `salt` makes another render."""

    def links(salt: bytes = b"1") -> dict[str, str]:
        job_id = post(client, png(salt=salt), tiles="true").json()["id"]
        finish(job_id, artifact=salt.hex().rjust(64, "0"))
        result: dict[str, str] = client.get(f"/renders/{job_id}").json()["links"]
        return result

    return links


def test_given_tokens_when_a_render_succeeds_then_its_links_give_access_to_its_outputs(
    anonymous: TestClient, rendered_links: Any
) -> None:
    links = rendered_links()
    assert anonymous.get(links["preview"]).content == b"RIFF preview"
    assert anonymous.get(links["tiles"]).status_code == 200
    signed = links["preview"].partition("?")[2]
    assert anonymous.get(f"{links['self']}/layers/0.webp?{signed}").content == b"RIFF layer"
    assert anonymous.get(links["self"]).status_code == 401
    assert anonymous.get(f"{links['self']}?{signed}").status_code == 401


def test_given_a_changed_link_or_one_of_another_render_then_401(anonymous: TestClient, rendered_links: Any) -> None:
    one, other = rendered_links(b"1"), rendered_links(b"2")
    path, _, signed = one["preview"].partition("?")
    expires = int(signed.partition("&")[0].removeprefix("expires="))
    for wrong in (
        f"{other['preview'].partition('?')[0]}?{signed}",
        f"{path}?{signed[:-1]}",
        f"{path}?{signed.replace(str(expires), str(expires + 1))}",
        f"{path}?expires={expires}",
        path,
    ):
        assert anonymous.get(wrong).status_code == 401, wrong


def test_given_an_expired_link_then_401_says_how_to_get_a_new_one(
    anonymous: TestClient, services: Services, rendered_links: Any
) -> None:
    links = rendered_links()
    job = services.ledger.jobs.find(links["self"].rpartition("/")[2])
    assert job is not None
    past = int(time.time()) - 1
    answer = anonymous.get(
        f"{links['self']}/preview.webp?expires={past}&signature={sign(services.settings, job, past)}"
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert "GET /renders/{render} returns a new one" in answer.json()["detail"]


@pytest.mark.parametrize("without", [{"tokens": {}}, {"signed_link_ttl": 0}, {"link_secret": ""}])
def test_given_no_secret_or_no_tokens_then_links_are_not_signed(
    settings: Settings, client: TestClient, services: Services, without: dict[str, Any]
) -> None:
    job = services.ledger.jobs.find(post(client).json()["id"])
    assert job is not None
    assert signed_query(settings, job, 7_300.0).startswith("?expires=14400&signature=")
    plain = Settings.model_validate(settings.model_dump() | without)
    assert signed_query(plain, job, 7_300.0) == ""
