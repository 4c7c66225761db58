"""The viewer as a user sees it, from uploading a drawing to its tiles."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ezdxf.filemanagement import readfile
from playwright.sync_api import Browser, Page, Request, expect

from cli.embedded.ports import LOOPBACK, assign_ports
from cli.embedded.programs import web_program, web_url
from tests.browser.conftest import Screenshot, dataset, open_page, render_drawing
from tests.services.platform import ROOT, Platform

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

AXE = ROOT / "web/viewer/node_modules/axe-core/axe.min.js"
TILES_TIMEOUT = 90_000  # milliseconds; for tiles of all layers on a busy machine

# Milliseconds until images are visible in a screenshot.
DRAW_TIME = 1_500

INK = "rgb(22, 32, 42)"  # printed, in every theme

DROP = """(target, [name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name));
  target.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: transfer }));
}"""


def test_given_a_drawing_when_dropped_then_its_layers_and_tiles_are_shown(
    page: Page, floorplan: Path, screenshot: Screenshot
) -> None:
    open_page(page, "/")
    page.locator(".drop-zone").evaluate(DROP, [floorplan.name, base64.b64encode(floorplan.read_bytes()).decode()])
    job = page.locator(".job", has_text="floorplan.dxf").first
    expect(job).to_have_attribute("data-state", "succeeded", timeout=60_000)
    expect(job.locator(".thumb img")).to_be_visible()
    screenshot(page, "jobs")

    job.get_by_role("link").click()
    expect(page.get_by_role("heading", name="Layers (5)")).to_be_visible()
    page.wait_for_timeout(DRAW_TIME)
    screenshot(page, "drawing")

    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.get_by_label("PIPES", exact=True).uncheck()
    for _ in range(4):
        page.get_by_role("button", name="Zoom in").click()
    status = page.locator(".view-status")
    expect(status).to_be_visible()  # tiles are being rendered
    expect(status).to_be_hidden(timeout=TILES_TIMEOUT)
    for name in ("DOORS", "TEXT"):
        page.get_by_label(name, exact=True).uncheck()
    page.get_by_label("PIPES", exact=True).check()
    expect(status).to_be_hidden(timeout=TILES_TIMEOUT)  # only the tiles of this layer are rendered now
    page.wait_for_timeout(DRAW_TIME)
    screenshot(page, "tiles")

    tiles = [url for url in requested if "_files/" in url]
    assert {url.split("/layers/")[1][:3] for url in tiles if "/layers/" in url} >= {"002", "004", "005"}
    levels = {int(url.split("_files/")[1].split("/")[0]) for url in tiles}
    assert max(levels) >= 12  # larger than the preview of 2,048 pixels
    expect(page.get_by_label("DOORS", exact=True)).not_to_be_checked()

    link = page.url
    open_page(page, "/")
    open_page(page, link)
    expect(page.get_by_label("DOORS", exact=True)).not_to_be_checked()
    expect(page.get_by_label("PIPES", exact=True)).to_be_checked()
    assert page.url == link


def test_given_a_finished_drawing_when_opened_then_it_takes_at_most_thirty_requests(
    browser: Browser, site: Platform, drawing: str, record_property: Callable[[str, object], None]
) -> None:
    with browser.new_context(base_url=site.url) as context:
        page = context.new_page()
        requests: list[Request] = []
        page.on("request", lambda request: requests.append(request))  # noqa: PLW0108 - Playwright marks what it calls
        started = time.perf_counter()
        page.goto(f"/#/drawing/{drawing}")
        page.wait_for_load_state("networkidle")
        record_property(
            "seconds_until_idle", time.perf_counter() - started - 0.5
        )  # networkidle means half a second without requests
        scripts = [request.sizes()["responseBodySize"] for request in requests if request.url.endswith(".js")]
    record_property("requests", len(requests))
    assert len(requests) <= 30
    assert sum(scripts) <= 400_000  # bytes, compressed


def test_given_two_points_when_measured_then_the_length_is_in_the_drawings_units(page: Page, drawing: str) -> None:
    open_page(page, f"/#/drawing/{drawing}?v=0,0,1")
    page.keyboard.press("m")
    box = page.locator("#paper").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.click(box["x"] + 10, y)
    page.mouse.click(box["x"] + box["width"] - 10, y)
    label = page.locator(".measure-label").inner_text()
    number, unit = label.split()
    assert unit == "mm"
    assert 50_000 < float(number.replace(",", "")) < 58_000  # nine rooms of 6 m and a margin


def test_given_a_file_that_is_not_a_drawing_when_dropped_then_the_error_says_what_to_do(page: Page) -> None:
    open_page(page, "/")
    page.locator(".drop-zone").evaluate(DROP, ["letter.doc", base64.b64encode(b"Dear Sir").decode()])
    text = page.locator(".job[data-state=failed] .job-text")
    expect(text).to_contain_text("DXF, SVG, PDF, PNG, JPEG, TIFF and WebP")


def test_given_ten_thousand_machines_when_the_floor_is_shown_then_few_draw_calls_are_needed(
    page: Page, plant: Callable[[int], str], screenshot: Screenshot, record_property: Callable[[str, object], None]
) -> None:
    open_page(page, f"/#/floor/{plant(10_000)}")
    running = page.locator(".legend li", has_text="running").locator("output")
    expect(running).to_have_text("6,000", timeout=20_000)
    page.get_by_role("searchbox", name="Search machines").fill("press-09999")
    page.locator(".machines button").first.click()
    expect(page.get_by_role("heading", name="press-09999")).to_be_visible()
    screenshot(page, "floor")
    frame = dataset(page, ".floor-main canvas")
    record_property("milliseconds", frame["milliseconds"])
    assert int(frame["calls"]) <= 10


def test_given_tokens_when_opened_then_the_viewer_asks_for_one_and_loads_images_by_signed_links(
    browser: Browser, site: Platform, drawing: str
) -> None:
    port = assign_ports(site.directory / "guarded.json", ["web"])["web"]
    tokens = {"BULKHEAD_TOKENS": json.dumps({"token-of-the-plant": "local"})}
    site.start(web_program(LOOPBACK, port, {**site.environment, **tokens}, site.directory))
    with browser.new_context(base_url=web_url(LOOPBACK, port)) as context:
        page = context.new_page()
        page.goto("/")
        page.get_by_label("Token").fill("token-of-the-plant")
        page.get_by_role("button", name="Sign in").click()
        picture = page.locator(f".job[data-id='{drawing}'] img")
        expect(picture).to_have_attribute("src", re.compile(r"preview\.webp\?expires=\d+&signature=[0-9a-f]{32}$"))
        assert picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") > 0
        page.locator(f".job[data-id='{drawing}'] a").click()
        expect(page.get_by_role("heading", name="Layers (5)")).to_be_visible()


def test_given_a_layer_that_is_off_when_it_is_selected_then_the_drawing_is_rendered_with_it(
    page: Page, site: Platform, floorplan: Path, tmp_path: Path
) -> None:
    document = readfile(floorplan)
    document.layers.get("PIPES").off()
    document.layers.get("DOORS").freeze()
    document.saveas(tmp_path / "hidden.dxf")
    open_page(page, f"/#/drawing/{render_drawing(site, tmp_path / 'hidden.dxf')}")
    off = page.get_by_role("region", name="Layers turned off")
    expect(off.get_by_role("checkbox")).to_have_count(2)
    off.get_by_label("PIPES", exact=True).check()
    off.get_by_role("button", name="Render selected layers").click()
    expect(page.get_by_role("heading", name="Layers (4)")).to_be_visible(timeout=60_000)
    expect(page.get_by_label("PIPES", exact=True)).to_be_checked()
    expect(off.get_by_label("DOORS", exact=True)).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_given_any_page_when_checked_by_axe_then_there_are_no_serious_violations(
    browser: Browser, site: Platform, drawing: str, plant: Callable[[int], str], theme: str, screenshot: Screenshot
) -> None:
    addresses = {"jobs": "/", "drawing": f"/#/drawing/{drawing}", "floor": f"/#/floor/{plant(20)}", "op": "/#/operator"}
    with browser.new_context(base_url=site.url, bypass_csp=True, color_scheme=theme) as context:  # type: ignore[arg-type]
        page = context.new_page()
        for name, address in addresses.items():
            open_page(page, address)
            page.wait_for_timeout(500)
            page.add_script_tag(path=AXE)
            result = page.evaluate("axe.run({ resultTypes: ['violations'] })")
            serious = [each for each in result["violations"] if each["impact"] in ("serious", "critical")]
            violations = [(each["id"], [node["html"][:120] for node in each["nodes"][:3]]) for each in serious]
            assert violations == [], name
            screenshot(page, f"{name}-{theme}")
        page.emulate_media(media="print")
        expect(page.get_by_role("heading", name="Operator")).to_have_css("color", INK)  # waits for a busy browser


def test_given_a_phone_when_a_drawing_is_opened_then_it_fits_and_layers_can_be_changed(
    browser: Browser, site: Platform, drawing: str, screenshot: Screenshot
) -> None:
    with browser.new_context(base_url=site.url, viewport={"width": 390, "height": 760}, has_touch=True) as context:
        page = context.new_page()
        open_page(page, f"/#/drawing/{drawing}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.locator(".side > summary").tap()
        page.get_by_label("WALLS", exact=True).tap()
        expect(page.get_by_label("WALLS", exact=True)).not_to_be_checked()
        page.wait_for_load_state("networkidle")
        screenshot(page, "phone")
