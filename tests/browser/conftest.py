"""A real platform with a drawing and a plant, and Debian's Chromium to look at it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import redis
from playwright.sync_api import Browser, Page, sync_playwright

from cli.embedded.process import NotInstalled
from tasks.messaging.topology import TILES
from tasks.sensors import PLANTS_KEY, plant_key, sensor_key
from tests.browser.floorplan import save_floorplan
from tests.conftest import Broker, without
from tests.services.platform import Platform
from web.routes import viewer

CHROMIUM = "/usr/bin/chromium"
# Root has no sandbox of its own, and this machine no graphics card: SwiftShader draws WebGL on the processor.
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--js-flags=--expose-gc"]
ARTIFACTS = Path(__file__).with_name("artifacts")
PLANT = "ulm"
BEAT_INTERVAL = "60"  # seconds: a plant of these tests beats once and is alive for five minutes
# What is no complaint about the page: SwiftShader is slow, some answers are errors, as they should be, and
# OpenSeadragon mentions tiles of a layer that was taken away before they came.
USUAL = ("GPU stall due to ReadPixels", "Failed to load resource", "loaded before reset")

Shot = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window, for the tests of one file: Playwright's event loop must not run in those of others."""
    instead = "leave these tests to others"
    if not Path(CHROMIUM).exists():
        without(NotInstalled("Chromium", "chromium", instead))
    if not (viewer.BUILT / viewer.INDEX).exists():
        without(NotInstalled("The viewer's build", "nodejs npm` and run `make viewer", instead))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(session_broker: Broker, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Web tier, a worker for previews and one for tiles, for the tests of one file.

    They end with these tests: the broker is that of others, too, and such workers would take their jobs.
    """
    session_broker.forget()
    platform = Platform(tmp_path_factory.mktemp("viewer") / "platform", session_broker.url)
    try:
        platform.start_worker(child_niceness="0")  # nothing waits behind these renders but the tests
        platform.start_worker("tiles1", queue=TILES, child_niceness="0")
        platform.start_web(redis_url=redis_url, heartbeat_interval=BEAT_INTERVAL)
        yield platform
    finally:
        platform.stop()


@pytest.fixture(scope="session")
def floorplan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_floorplan(tmp_path_factory.mktemp("drawings") / "floorplan.dxf")


@pytest.fixture(scope="module")
def drawing(site: Platform, floorplan: Path) -> str:
    """Id of a finished render."""
    return rendered(site, floorplan)


def rendered(site: Platform, path: Path) -> str:
    """Have a drawing rendered; answers its job's id."""
    with path.open("rb") as file:
        answer = httpx.post(
            f"{site.url}/renders", files={"blueprint": file}, headers={"prefer": "wait=60"}, timeout=90
        ).json()
    assert answer["state"] == "succeeded", answer
    return str(answer["id"])


@pytest.fixture(scope="session")
def plant(redis_url: str) -> Callable[[int], str]:
    """Let so many machines be heard right now; gives the plant's name."""

    def heard(machines: int) -> str:
        now = time.time()
        with redis.Redis.from_url(redis_url) as client, client.pipeline(transaction=False) as pipe:
            for number in range(machines):
                name = f"press-{number:05d}"
                status = ("running", "running", "running", "idle", "fault")[number % 5]
                reading = {"seq": 1, "seen_at": now, "received_at": now, "status": status, "rpm": 1450 + number % 7}
                pipe.hset(sensor_key(PLANT, name), mapping=reading)
                pipe.zadd(plant_key(PLANT), {name: now})
            pipe.zadd(PLANTS_KEY, {PLANT: now})
            pipe.execute()
        return PLANT

    return heard


@pytest.fixture
def page(browser: Browser, site: Platform) -> Iterator[Page]:
    """A window on the viewer. A complaint of the browser, about its content policy say, fails the test."""
    complaints: list[str] = []
    with browser.new_context(base_url=site.url, viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
    assert [text for text in complaints if not any(usual in text for usual in USUAL)] == []


@pytest.fixture
def shot() -> Shot:
    """Keep a picture of a page as an artefact."""

    def shot(page: Page, name: str) -> None:
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"{name}.png")

    return shot


def settled(page: Page, address: str) -> None:
    """Go to an address of the viewer and wait until its page is there."""
    page.goto(address)
    page.locator("main[aria-busy=false]").wait_for()


def dataset(page: Page, selector: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(page.locator(selector).evaluate("each => JSON.stringify(each.dataset)"))
    return found
