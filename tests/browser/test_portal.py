"""A PHP portal behind the edge as a user sees it, from selecting a drawing to viewing it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from cli.embedded.process import NotInstalled
from tests.browser.conftest import Screenshot
from tests.conftest import Broker, skip_or_fail
from tests.services.edge.portal_site import PortalSite, install_examples, running_portal

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]


@pytest.fixture
def portal(broker: Broker) -> Iterator[PortalSite]:
    try:
        with running_portal(broker.url, install_examples) as portal:
            portal.platform.start_worker(child_niceness="0")
            yield portal
    except NotInstalled as error:
        skip_or_fail(error)


def test_given_a_form_behind_the_edge_when_a_drawing_is_uploaded_then_its_preview_is_shown_by_a_signed_link(
    browser: Browser, portal: PortalSite, floorplan: Path, screenshot: Screenshot
) -> None:
    with browser.new_context(base_url=portal.url) as context:
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
        signed = re.compile(rf"^{portal.url}/renders/{job}/preview\.webp\?expires=\d+&signature=[0-9a-f]{{32}}$")
        expect(picture).to_have_attribute("src", signed)
        assert picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") == 2048
        assert portal.token not in page.content()
        screenshot(page, "portal")

        assert context.request.get(f"/renders/{job}/preview.webp").status == 401
        assert context.request.get("/show.php?job=../etc").status == 404
