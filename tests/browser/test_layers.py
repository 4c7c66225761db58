"""Sixty layers: nothing is loaded or made of a layer before it is looked at, and then once for all who look."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tasks.jobs import Job, Ledger, open_ledger
from tests.browser.conftest import Shot, rendered, settled
from tests.browser.sixty import LAYERS, save_sixty
from tests.services.platform import Platform

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

FEW = 30  # requests of a first view
PATIENCE = 60_000  # milliseconds until tiles of a layer are cut on a busy machine
QUIET = 700  # milliseconds without a request

# Layers by place: two in view side by side, and one far away.
HERE, BESIDE, AWAY = 10, 11, 50
VIEW = f"v={HERE / 60:.4f},0,{2 / 60:.4f}"


@pytest.fixture(scope="module")
def ledger(site: Platform) -> Iterator[Ledger]:
    ledger = open_ledger(site.settings)
    yield ledger
    ledger.database.close()


@pytest.fixture(scope="module")
def sixty(site: Platform, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Id of a finished render."""
    return rendered(site, save_sixty(tmp_path_factory.mktemp("drawings") / "sixty.dxf"))


@pytest.fixture
def asked(page: Page) -> list[str]:
    """Addresses that the page asks for."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    return asked


def quiet(page: Page, asked: list[str]) -> None:
    """Wait until the page asks for nothing more."""
    before = -1
    while before != len(asked):
        before = len(asked)
        page.wait_for_timeout(QUIET)


def layers_in(asked: list[str]) -> set[str]:
    """Numbers of the layers of which anything was asked for, pictures or tiles."""
    return {found[1] for url in asked if (found := re.search(r"/layers/(\d+)", url))}


def number_of(site: Platform, job: str, place: int) -> int:
    """Index in the manifest of the layer of that field."""
    manifest = httpx.get(f"{site.url}/renders/{job}/manifest.json").json()
    return next(int(layer["index"]) for layer in manifest["layers"] if layer["name"] == LAYERS[place])


def cutters(ledger: Ledger, number: int) -> list[Job]:
    """Jobs that cut tiles of that layer."""
    return [job for job in ledger.jobs.page(limit=200).jobs if job.options["tile_layer"] == number]


def test_given_sixty_layers_when_opened_then_none_is_loaded_until_it_is_switched_on_alone(
    page: Page, site: Platform, sixty: str, asked: list[str]
) -> None:
    settled(page, f"/#/drawing/{sixty}")
    quiet(page, asked)
    assert len(asked) <= FEW
    assert layers_in(asked) == set()

    asked.clear()
    page.get_by_role("button", name="None").click()
    page.get_by_label(LAYERS[HERE], exact=True).check()
    quiet(page, asked)
    assert layers_in(asked) == {f"{number_of(site, sixty, HERE):03d}"}


def test_given_a_part_in_view_when_layers_are_not_as_drawn_then_those_elsewhere_are_not_loaded(
    page: Page, site: Platform, sixty: str, asked: list[str]
) -> None:
    first = number_of(site, sixty, 0)
    settled(page, f"/#/drawing/{sixty}?v=0.1,0,0.5&off={first}")  # fields 6 to 36
    quiet(page, asked)
    near = {number_of(site, sixty, place) for place in range(4, 38)}
    assert layers_in(asked)
    assert {int(number) for number in layers_in(asked)} <= near


def test_given_two_who_look_closer_when_a_layer_is_switched_on_then_its_tiles_alone_are_made_once_and_loaded(
    browser: Browser, page: Page, site: Platform, ledger: Ledger, sixty: str, asked: list[str], shot: Shot
) -> None:
    here, beside, away = (number_of(site, sixty, place) for place in (HERE, BESIDE, AWAY))
    off = ",".join(str(number_of(site, sixty, place)) for place in range(60) if place != HERE)
    link = f"/#/drawing/{sixty}?{VIEW}&off={off}"
    with browser.new_context(base_url=site.url, viewport={"width": 1280, "height": 800}) as context:
        other = context.new_page()
        settled(other, link)
        settled(page, link)
        for each in (page, other):
            expect(each.locator(".desk-status")).to_be_hidden(timeout=PATIENCE)
    quiet(page, asked)
    (cut,) = cutters(ledger, here)
    tiles = [url for url in asked if "_files/" in url]
    assert tiles
    assert {url.split("_files/")[0] for url in tiles} == {f"{site.url}/renders/{cut.id}/layers/{here:03d}"}
    assert cut.queue == "render.tiles"
    assert layers_in(asked) == {f"{here:03d}"}
    shot(page, "one-of-sixty")

    asked.clear()
    page.get_by_label(LAYERS[BESIDE], exact=True).check()
    expect(page.locator(".desk-status")).to_be_hidden(timeout=PATIENCE)
    quiet(page, asked)
    assert layers_in(asked) == {f"{beside:03d}"}
    assert any("_files/" in url for url in asked)

    asked.clear()
    page.get_by_label(LAYERS[AWAY], exact=True).check()
    quiet(page, asked)
    assert layers_in(asked) == set()
    assert [len(cutters(ledger, number)) for number in (here, beside, away)] == [1, 1, 0]

    settled(page, "/")
    expect(page.locator(".job", has_text="sixty.dxf")).to_have_count(1)
