"""Leaving a page releases its resources: hundreds of route changes leak no WebGL context, canvas or memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, CDPSession, Page, Route

from tests.browser.conftest import open_page
from tests.services.platform import Platform

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

WARM_UP = 20  # route changes that fill the caches of the browser
CHANGES = 200
CHANGES_WITHOUT_TEARDOWN = 40  # enough to exceed the limits
MAX_CONTEXTS = 2
MAX_GROWTH = 2_000_000  # bytes of the JavaScript heap

# Counts the live WebGL contexts (neither lost nor collected) when a context is created.
COUNT_CONTEXTS = """(() => {
  const known = [];
  const original = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
    const context = original.call(this, kind, ...rest);
    const isNew = context && kind.startsWith("webgl") && !known.some((each) => each.deref() === context);
    if (isNew) known.push(new WeakRef(context));
    const live = known.filter((each) => each.deref() && !each.deref().isContextLost()).length;
    window.maxContexts = Math.max(window.maxContexts ?? 0, live);
    return context;
  };
})()"""

# Visits the URLs in turn and waits up to 3 s for the canvas of each; returns the number of pages that did not load.
GO = """async ([addresses, changes]) => {
  const main = document.getElementById("main");
  let missed = 0;
  for (let change = 0; change < changes; change++) {
    const address = addresses[change % addresses.length];
    location.hash = address;
    const there = () => main.dataset.page === address.split("/")[1] && main.ariaBusy === "false";
    const deadline = performance.now() + 3_000;
    do await new Promise((resolve) => setTimeout(resolve, 5));
    while (!(there() && main.querySelector("canvas")) && performance.now() < deadline);
    missed += !there();
  }
  return missed;
}"""

# A replacement with the same exports that releases nothing. Streams are aborted, because connections are limited.
NO_TEARDOWN = """
export class Scope {
  abort = new AbortController();
  get signal() { return this.abort.signal; }
  get ended() { return this.signal.aborted; }
  defer() {}
  own(resource) { return resource; }
  listen(target, type, listener, options) { target.addEventListener(type, listener, options); }
  every(milliseconds, callback) { setInterval(callback, milliseconds); }
  after(milliseconds, callback) { setTimeout(callback, milliseconds); }
  observe(observer) { return observer; }
  child() { return new Scope(); }
  end() { this.abort.abort(); }
}
export function releaseCanvas() {}
export function watchCanvases() {}
"""


@dataclass
class Measurements:
    """Measurements during the route changes."""

    missed: int = 0
    max_contexts: int = 0
    detached_canvases: int = 0
    growth: int = 0
    warnings: list[str] = field(default_factory=list)

    def is_clean(self) -> bool:
        few = self.max_contexts <= MAX_CONTEXTS and self.detached_canvases == 0
        return few and self.missed == 0 and self.growth < MAX_GROWTH and not self.warnings


def change_routes(page: Page, addresses: list[str], changes: int) -> Measurements:
    """Change the route `changes` times and measure."""
    measured = Measurements()
    page.on(
        "console",
        lambda message: measured.warnings.append(message.text) if "oo many active WebGL" in message.text else None,
    )
    page.add_init_script(COUNT_CONTEXTS)
    open_page(page, addresses[-1])
    tools = page.context.new_cdp_session(page)
    measured.missed = page.evaluate(GO, [addresses, WARM_UP])
    before = heap(tools)
    measured.missed += page.evaluate(GO, [addresses, changes - WARM_UP])
    measured.max_contexts = page.evaluate("maxContexts")
    open_page(page, "#/")  # exclude the memory that the open drawing uses
    measured.growth = heap(tools) - before
    measured.detached_canvases = detached_canvases(tools)
    return measured


def heap(tools: CDPSession) -> int:
    """Bytes of the JavaScript heap after garbage collection."""
    for _ in range(3):  # one collection finalizes objects, the next one frees them
        tools.send("HeapProfiler.collectGarbage")
    return int(tools.send("Runtime.getHeapUsage")["usedSize"])


def detached_canvases(tools: CDPSession) -> int:
    prototype = tools.send("Runtime.evaluate", {"expression": "HTMLCanvasElement.prototype"})["result"]["objectId"]
    found = tools.send("Runtime.queryObjects", {"prototypeObjectId": prototype})["objects"]["objectId"]
    count = (
        "function () { return this.filter((canvas) => !canvas.isConnected && canvas.width * canvas.height > 0).length }"
    )
    result = tools.send(
        "Runtime.callFunctionOn", {"objectId": found, "functionDeclaration": count, "returnByValue": True}
    )
    return int(result["result"]["value"])


@pytest.fixture
def addresses(drawing: str, plant: Callable[[int], str]) -> list[str]:
    """A floor, a drawing, and another floor."""
    return [f"#/floor/{plant(50)}", f"#/drawing/{drawing}", "#/floor/bern", f"#/drawing/{drawing}?solo=2"]


def test_given_two_hundred_route_changes_then_contexts_canvases_and_memory_are_released(
    page: Page, addresses: list[str], record_property: Callable[[str, object], None]
) -> None:
    measured = change_routes(page, addresses, CHANGES)
    record_property("measured", repr(measured))
    assert measured.is_clean(), measured


def test_given_no_teardown_when_routes_change_then_the_leaks_are_detected(
    browser: Browser, site: Platform, addresses: list[str], record_property: Callable[[str, object], None]
) -> None:
    def replace_module(route: Route) -> None:
        route.fulfill(body=NO_TEARDOWN, content_type="text/javascript")

    with browser.new_context(base_url=site.url) as context:
        page = context.new_page()
        page.route("**/assets/teardown-*.js", replace_module)
        measured = change_routes(page, addresses, CHANGES_WITHOUT_TEARDOWN)
    record_property("measured", repr(measured)[:300])
    assert measured.max_contexts > MAX_CONTEXTS, measured
    assert measured.warnings, measured
    assert not measured.is_clean()
