"""Sixty layers: a layer is loaded when it is visible, and its tiles are rendered once for all viewers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tasks.jobs import Job, Ledger, open_ledger
from tests.browser.conftest import Screenshot, open_page, render_drawing
from tests.browser.sixty import LAYERS, save_sixty
from tests.services.platform import Platform

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

MAX_REQUESTS = 30  # of a first view
TILES_TIMEOUT = 60_000  # milliseconds; for tiles of a layer on a busy machine
IDLE_TIME = 700  # milliseconds without a request

# Positions of layers: two adjacent ones in view, and one far far_layer.
FIRST, SECOND, FAR = 10, 11, 50
VIEW = f"v={FIRST / 60:.4f},0,{2 / 60:.4f}"


@pytest.fixture(scope="module")
def ledger(site: Platform) -> Iterator[Ledger]:
    ledger = open_ledger(site.settings)
    yield ledger
    ledger.database.close()


@pytest.fixture(scope="module")
def sixty(site: Platform, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Id of a finished render."""
    return render_drawing(site, save_sixty(tmp_path_factory.mktemp("drawings") / "sixty.dxf"))


@pytest.fixture
def requested(page: Page) -> list[str]:
    """URLs that the page requests."""
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    return requested


def wait_until_idle(page: Page, requested: list[str]) -> None:
    """Wait until the page sends no more requests."""
    before = -1
    while before != len(requested):
        before = len(requested)
        page.wait_for_timeout(IDLE_TIME)


def layers_in(requested: list[str]) -> set[str]:
    """Numbers of the layers whose images or tiles were requested."""
    return {found[1] for url in requested if (found := re.search(r"/layers/(\d+)", url))}


def number_of(site: Platform, job: str, position: int) -> int:
    """Index of the layer at a position in the manifest."""
    manifest = httpx.get(f"{site.url}/renders/{job}/manifest.json").json()
    return next(int(layer["index"]) for layer in manifest["layers"] if layer["name"] == LAYERS[position])


def tile_jobs(ledger: Ledger, number: int) -> list[Job]:
    """Jobs that render tiles of a layer."""
    return [job for job in ledger.jobs.page(limit=200).jobs if job.options["tile_layer"] == number]


def test_given_sixty_layers_when_opened_then_a_layer_is_loaded_only_when_it_is_shown_alone(
    page: Page, site: Platform, sixty: str, requested: list[str]
) -> None:
    open_page(page, f"/#/drawing/{sixty}")
    wait_until_idle(page, requested)
    assert len(requested) <= MAX_REQUESTS
    assert layers_in(requested) == set()

    requested.clear()
    page.get_by_role("button", name="None").click()
    page.get_by_label(LAYERS[FIRST], exact=True).check()
    wait_until_idle(page, requested)
    assert layers_in(requested) == {f"{number_of(site, sixty, FIRST):03d}"}


def test_given_a_view_when_the_visible_layers_change_then_only_layers_in_view_are_loaded(
    page: Page, site: Platform, sixty: str, requested: list[str]
) -> None:
    first = number_of(site, sixty, 0)
    open_page(page, f"/#/drawing/{sixty}?v=0.1,0,0.5&off={first}")  # fields 6 to 36
    wait_until_idle(page, requested)
    in_view = {number_of(site, sixty, position) for position in range(4, 38)}
    assert layers_in(requested)
    assert {int(number) for number in layers_in(requested)} <= in_view


def test_given_two_viewers_who_zoom_in_when_a_layer_is_shown_then_its_tiles_are_rendered_once(
    browser: Browser,
    page: Page,
    site: Platform,
    ledger: Ledger,
    sixty: str,
    requested: list[str],
    screenshot: Screenshot,
) -> None:
    first_layer, second_layer, far_layer = (number_of(site, sixty, position) for position in (FIRST, SECOND, FAR))
    off = ",".join(str(number_of(site, sixty, position)) for position in range(60) if position != FIRST)
    link = f"/#/drawing/{sixty}?{VIEW}&off={off}"
    with browser.new_context(base_url=site.url, viewport={"width": 1280, "height": 800}) as context:
        other = context.new_page()
        open_page(other, link)
        open_page(page, link)
        for each in (page, other):
            expect(each.locator(".view-status")).to_be_hidden(timeout=TILES_TIMEOUT)
    wait_until_idle(page, requested)
    (tile_job,) = tile_jobs(ledger, first_layer)
    tiles = [url for url in requested if "_files/" in url]
    assert tiles
    assert {url.split("_files/")[0] for url in tiles} == {f"{site.url}/renders/{tile_job.id}/layers/{first_layer:03d}"}
    assert tile_job.queue == "render.tiles"
    assert layers_in(requested) == {f"{first_layer:03d}"}
    screenshot(page, "one-of-sixty")

    requested.clear()
    page.get_by_label(LAYERS[SECOND], exact=True).check()
    expect(page.locator(".view-status")).to_be_hidden(timeout=TILES_TIMEOUT)
    wait_until_idle(page, requested)
    assert layers_in(requested) == {f"{second_layer:03d}"}
    assert any("_files/" in url for url in requested)

    requested.clear()
    page.get_by_label(LAYERS[FAR], exact=True).check()
    wait_until_idle(page, requested)
    assert layers_in(requested) == set()
    assert [len(tile_jobs(ledger, number)) for number in (first_layer, second_layer, far_layer)] == [1, 1, 0]

    open_page(page, "/")
    expect(page.locator(".job", has_text="sixty.dxf")).to_have_count(1)
