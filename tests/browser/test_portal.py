"""A portal in PHP behind the edge, as a person uses it: from choosing a drawing to looking at it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from cli.embedded.process import NotInstalled
from tests.browser.conftest import Shot
from tests.conftest import Broker, without
from tests.services.edge.front import Front, fronted, lay_examples

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]


@pytest.fixture
def front(broker: Broker) -> Iterator[Front]:
    try:
        with fronted(broker.url, lay_examples) as front:
            front.platform.start_worker(child_niceness="0")
            yield front
    except NotInstalled as error:
        without(error)


def test_given_a_form_behind_the_edge_when_a_drawing_is_sent_then_its_preview_is_seen_by_a_signed_link(
    browser: Browser, front: Front, floorplan: Path, shot: Shot
) -> None:
    with browser.new_context(base_url=front.url) as context:
        page = context.new_page()
        page.goto("/")
        page.locator("input").set_input_files(floorplan)
        with page.expect_navigation() as sent:
            page.get_by_role("button", name="Send").click()
        accepted = sent.value
        assert accepted.status == 202
        job = accepted.json()["id"]
        assert accepted.headers["location"] == f"/renders/{job}"

        page.goto(f"/show.php?job={job}")
        picture = page.locator("#preview")
        expect(picture).to_be_visible(timeout=60_000)
        signed = re.compile(rf"^{front.url}/renders/{job}/preview\.webp\?until=\d+&signature=[0-9a-f]{{32}}$")
        expect(picture).to_have_attribute("src", signed)
        assert picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") == 2048
        assert front.token not in page.content()
        shot(page, "portal")

        assert context.request.get(f"/renders/{job}/preview.webp").status == 401
        assert context.request.get("/show.php?job=../etc").status == 404
