"""Signed links: they open one render's outputs for a while, and nothing else."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tasks.settings import Settings
from tests.unit.web.support import TestClient, png, post
from web.access.signed_links import sign, signed_query
from web.dependencies import Services


@pytest.fixture
def stranger(client: TestClient) -> TestClient:
    """Has no token."""
    return TestClient(client.app, raise_server_exceptions=False)


@pytest.fixture
def done(client: TestClient, finish: Any) -> Any:
    """Links of a finished render; `salt` tells renders apart."""

    def links(salt: bytes = b"1") -> dict[str, str]:
        job_id = post(client, png(salt=salt), tiles="true").json()["id"]
        finish(job_id, artifact=salt.hex().rjust(64, "0"))
        found: dict[str, str] = client.get(f"/renders/{job_id}").json()["links"]
        return found

    return links


def test_given_tokens_when_a_render_is_done_then_its_links_open_its_outputs_without_one(
    stranger: TestClient, done: Any
) -> None:
    links = done()
    assert stranger.get(links["preview"]).content == b"RIFF preview"
    assert stranger.get(links["tiles"]).status_code == 200
    signed = links["preview"].partition("?")[2]
    assert stranger.get(f"{links['self']}/layers/0.webp?{signed}").content == b"RIFF layer"
    assert stranger.get(links["self"]).status_code == 401
    assert stranger.get(f"{links['self']}?{signed}").status_code == 401


def test_given_a_link_when_it_is_changed_or_of_another_render_then_it_opens_nothing(
    stranger: TestClient, done: Any
) -> None:
    one, other = done(b"1"), done(b"2")
    path, _, signed = one["preview"].partition("?")
    until = int(signed.partition("&")[0].removeprefix("until="))
    for wrong in (
        f"{other['preview'].partition('?')[0]}?{signed}",
        f"{path}?{signed[:-1]}",
        f"{path}?{signed.replace(str(until), str(until + 1))}",
        f"{path}?until={until}",
        path,
    ):
        assert stranger.get(wrong).status_code == 401, wrong


def test_given_an_old_link_when_opened_then_it_says_how_to_have_a_new_one(
    stranger: TestClient, house: Services, done: Any
) -> None:
    links = done()
    job = house.ledger.jobs.find(links["self"].rpartition("/")[2])
    assert job is not None
    past = int(time.time()) - 1
    answer = stranger.get(f"{links['self']}/preview.webp?until={past}&signature={sign(house.settings, job, past)}")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert "ask for the render again" in answer.json()["detail"]


@pytest.mark.parametrize("without", [{"tokens": {}}, {"signed_link_ttl": 0}, {"secret": ""}])
def test_given_nothing_to_sign_with_or_for_when_linked_then_the_link_is_plain(
    settings: Settings, client: TestClient, house: Services, without: dict[str, Any]
) -> None:
    job = house.ledger.jobs.find(post(client).json()["id"])
    assert job is not None
    assert signed_query(settings, job, 7_300.0).startswith("?until=14400&signature=")
    plain = Settings.model_validate(settings.model_dump() | without)
    assert signed_query(plain, job, 7_300.0) == ""
