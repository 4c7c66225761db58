"""A real platform with a drawing and a plant, and Debian's Chromium."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from cli.embedded.process import NotInstalled
from tasks.messaging.topology import TILES
from tasks.sensors import PLANTS_KEY, plant_key, sensor_key
from tests.browser.floorplan import save_floorplan
from tests.conftest import Broker, skip_or_fail
from tests.services.edge.portal_site import PortalSite, running_portal
from tests.services.edge.wordpress import WordPress
from tests.services.mariadb import MariaDb
from tests.services.platform import ROOT, Platform

CHROMIUM = "/usr/bin/chromium"
# Chromium's sandbox does not work as root; SwiftShader renders WebGL without a graphics card.
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--js-flags=--expose-gc"]
ARTIFACTS = Path(__file__).with_name("artifacts")
PLANT = "ulm"
HEARTBEAT_INTERVAL = "60"  # seconds: machines of these tests send one beat and stay alive for five minutes
# Expected messages: SwiftShader is slow, some tests provoke error responses, and OpenSeadragon reports tiles of layers
# that were removed while they were loading.
IGNORED_MESSAGES = ("GPU stall due to ReadPixels", "Failed to load resource", "loaded before reset")

Screenshot = Callable[[Page, str], None]
SignIn = Callable[[str | None], AbstractContextManager[BrowserContext]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium for the tests of one file: Playwright's event loop must not run in other tests."""
    instead = "skip these tests"
    if not Path(CHROMIUM).exists():
        skip_or_fail(NotInstalled("Chromium", "chromium", instead))
    if not (ROOT / "web/viewer/dist/index.html").exists():
        skip_or_fail(NotInstalled("The viewer's build", "nodejs npm` and run `make viewer", instead))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(session_broker: Broker, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A web tier, a worker for previews and one for tiles, for the tests of one file.

    They stop with these tests, because the broker is shared and the workers would claim jobs of other tests.
    """
    session_broker.reset()
    platform = Platform(tmp_path_factory.mktemp("viewer") / "platform", session_broker.url)
    try:
        platform.start_worker(child_niceness="0")  # these renders compete with nothing else
        platform.start_worker("tiles1", queue=TILES, child_niceness="0")
        platform.start_web(redis_url=redis_url, heartbeat_interval=HEARTBEAT_INTERVAL)
        yield platform
    finally:
        platform.stop()


@pytest.fixture(scope="session")
def floorplan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_floorplan(tmp_path_factory.mktemp("drawings") / "floorplan.dxf")


@pytest.fixture(scope="module")
def drawing(site: Platform, floorplan: Path) -> str:
    """Id of a finished render."""
    return render_drawing(site, floorplan)


def render_drawing(site: Platform, path: Path) -> str:
    """Render a drawing and return the id of its job."""
    with path.open("rb") as file:
        response = httpx.post(
            f"{site.url}/renders", files={"blueprint": file}, headers={"prefer": "wait=60"}, timeout=90
        ).json()
    assert response["state"] == "succeeded", response
    return str(response["id"])


@pytest.fixture(scope="session")
def plant(redis_url: str) -> Callable[[int], str]:
    """A function that stores readings of some machines and returns the name of their plant."""

    def store_readings(machines: int) -> str:
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

    return store_readings


@pytest.fixture
def page(browser: Browser, site: Platform) -> Iterator[Page]:
    """A browser page. Warnings and errors of the browser, such as CSP violations, fail the test."""
    messages: list[str] = []
    with browser.new_context(base_url=site.url, viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        page.on(
            "console", lambda message: messages.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: messages.append(str(error)))
        yield page
    assert [text for text in messages if not any(ignored in text for ignored in IGNORED_MESSAGES)] == []


@pytest.fixture
def screenshot() -> Screenshot:
    """A function that saves a screenshot of a page as an artifact."""

    def screenshot(page: Page, name: str) -> None:
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"{name}.png")

    return screenshot


def open_page(page: Page, address: str) -> None:
    """Open a URL of the viewer and wait until the page has loaded."""
    page.goto(address)
    page.locator("main[aria-busy=false]").wait_for()


def dataset(page: Page, selector: str) -> dict[str, str]:
    data: dict[str, str] = json.loads(page.locator(selector).evaluate("each => JSON.stringify(each.dataset)"))
    return data


@pytest.fixture(scope="module")
def wordpress(session_broker: Broker, session_mariadb: MariaDb) -> Iterator[WordPress]:
    """A fresh site with the plugin behind the edge, and a worker."""
    session_broker.reset()
    sites: list[WordPress] = []

    def install(site: PortalSite) -> None:
        sites.append(WordPress(site, session_mariadb.fresh_database()))

    try:
        with running_portal(session_broker.url, install, viewer_frame_ancestors="'self'") as portal:
            portal.platform.start_worker(child_niceness="0")
            sites[0].install()
            yield sites[0]
    except NotInstalled as error:
        skip_or_fail(error)


@pytest.fixture(scope="module")
def browser_of(browser: Browser, wordpress: WordPress) -> SignIn:
    """A function that opens a browser context of a signed-in user, or of an anonymous visitor (None)."""
    cookies: dict[str, Any] = {}

    @contextmanager
    def browser_of(user: str | None) -> Iterator[BrowserContext]:
        with browser.new_context(base_url=wordpress.site.url, viewport={"width": 1280, "height": 800}) as context:
            if user is not None:
                if user not in cookies:
                    wordpress.sign_in(context, user)
                    cookies[user] = context.cookies()
                context.add_cookies(cookies[user])
            yield context

    return browser_of


@pytest.fixture(scope="module")
def uploaded(browser_of: SignIn, floorplan: Path) -> int:
    """Id of a drawing that ann uploaded on the administration page."""
    with browser_of("ann") as context:
        page = context.new_page()
        page.goto("/wp-admin/media-new.php")
        page.locator(".moxie-shim input[type=file]").set_input_files(floorplan)
        picture = page.locator(".media-item img.pinkynail")
        picture.wait_for(state="attached", timeout=20_000)
        page.wait_for_function("document.querySelector('.media-item img.pinkynail').naturalWidth > 0", timeout=60_000)
        url = picture.get_attribute("src")
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / "wordpress-upload.png")
    match = re.search(r"drawing=(\d+)", url or "")
    assert match is not None
    return int(match[1])
