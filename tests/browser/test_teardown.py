"""Pages that are left let go of everything: hundreds of floors and drawings, one window, no context left over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, CDPSession, Page, Route

from tests.browser.conftest import settled
from tests.services.platform import Platform

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

WARM_UP = 20  # of them after which caches of the browser and of compiled code are full
CHANGES = 200
WITHOUT = 40  # route changes that suffice to show what comes of it without teardown
MOST_CONTEXTS = 2
MOST_GROWTH = 2_000_000  # bytes of JavaScript's heap

# Counts WebGL contexts that are neither lost nor collected, whenever there is a new one.
COUNT_CONTEXTS = """(() => {
  const known = [];
  const original = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
    const context = original.call(this, kind, ...rest);
    const isNew = context && kind.startsWith("webgl") && !known.some((each) => each.deref() === context);
    if (isNew) known.push(new WeakRef(context));
    const live = known.filter((each) => each.deref() && !each.deref().isContextLost()).length;
    window.mostContexts = Math.max(window.mostContexts ?? 0, live);
    return context;
  };
})()"""

# Goes from address to address, and waits for the canvas of each, some seconds at most; answers how many did not come.
GO = """async ([addresses, changes]) => {
  const main = document.getElementById("main");
  let missed = 0;
  for (let change = 0; change < changes; change++) {
    const address = addresses[change % addresses.length];
    location.hash = address;
    const there = () => main.dataset.page === address.split("/")[1] && main.ariaBusy === "false";
    const patience = performance.now() + 3_000;
    do await new Promise((resolve) => setTimeout(resolve, 5));
    while (!(there() && main.querySelector("canvas")) && performance.now() < patience);
    missed += !there();
  }
  return missed;
}"""

# The same names. Streams end, for the browser would have no connection left, but nothing is released.
NO_TEARDOWN = """
export class Scope {
  abort = new AbortController();
  get signal() { return this.abort.signal; }
  get ended() { return this.signal.aborted; }
  defer() {}
  keep(thing) { return thing; }
  listen(target, kind, hear, options) { target.addEventListener(kind, hear, options); }
  every(milliseconds, work) { setInterval(work, milliseconds); }
  after(milliseconds, work) { setTimeout(work, milliseconds); }
  observe(observer) { return observer; }
  inner() { return new Scope(); }
  end() { this.abort.abort(); }
}
export function releaseCanvas() {}
export function watchCanvases() {}
"""


@dataclass
class Seen:
    """What was seen while somebody went to and fro."""

    missed: int = 0
    most_contexts: int = 0
    detached_canvases: int = 0
    growth: int = 0
    warnings: list[str] = field(default_factory=list)

    def is_clean(self) -> bool:
        few = self.most_contexts <= MOST_CONTEXTS and self.detached_canvases == 0
        return few and self.missed == 0 and self.growth < MOST_GROWTH and not self.warnings


def go_to_and_fro(page: Page, addresses: list[str], changes: int) -> Seen:
    """Change the route so many times."""
    seen = Seen()
    page.on("console", lambda said: seen.warnings.append(said.text) if "oo many active WebGL" in said.text else None)
    page.add_init_script(COUNT_CONTEXTS)
    settled(page, addresses[-1])
    tools = page.context.new_cdp_session(page)
    seen.missed = page.evaluate(GO, [addresses, WARM_UP])
    before = heap(tools)
    seen.missed += page.evaluate(GO, [addresses, changes - WARM_UP])
    seen.most_contexts = page.evaluate("mostContexts")
    settled(page, "#/")  # what a drawing has in use is not left over
    seen.growth = heap(tools) - before
    seen.detached_canvases = detached_canvases(tools)
    return seen


def heap(tools: CDPSession) -> int:
    """Bytes of JavaScript's heap once garbage is collected."""
    for _ in range(3):  # what one collection finalises the next one frees
        tools.send("HeapProfiler.collectGarbage")
    return int(tools.send("Runtime.getHeapUsage")["usedSize"])


def detached_canvases(tools: CDPSession) -> int:
    prototype = tools.send("Runtime.evaluate", {"expression": "HTMLCanvasElement.prototype"})["result"]["objectId"]
    found = tools.send("Runtime.queryObjects", {"prototypeObjectId": prototype})["objects"]["objectId"]
    count = (
        "function () { return this.filter((canvas) => !canvas.isConnected && canvas.width * canvas.height > 0).length }"
    )
    answer = tools.send(
        "Runtime.callFunctionOn", {"objectId": found, "functionDeclaration": count, "returnByValue": True}
    )
    return int(answer["result"]["value"])


@pytest.fixture
def addresses(drawing: str, plant: Callable[[int], str]) -> list[str]:
    """A floor, a drawing, and another floor."""
    return [f"#/floor/{plant(50)}", f"#/drawing/{drawing}", "#/floor/bern", f"#/drawing/{drawing}?solo=2"]


def test_given_two_hundred_route_changes_when_counted_then_contexts_canvases_and_memory_are_given_back(
    page: Page, addresses: list[str], record_property: Callable[[str, object], None]
) -> None:
    seen = go_to_and_fro(page, addresses, CHANGES)
    record_property("seen", repr(seen))
    assert seen.is_clean(), seen


def test_given_no_teardown_when_the_same_is_done_then_it_shows(
    browser: Browser, site: Platform, addresses: list[str], record_property: Callable[[str, object], None]
) -> None:
    def instead(route: Route) -> None:
        route.fulfill(body=NO_TEARDOWN, content_type="text/javascript")

    with browser.new_context(base_url=site.url) as context:
        page = context.new_page()
        page.route("**/assets/teardown-*.js", instead)
        seen = go_to_and_fro(page, addresses, WITHOUT)
    record_property("seen", repr(seen)[:300])
    assert seen.most_contexts > MOST_CONTEXTS, seen
    assert seen.warnings, seen
    assert not seen.is_clean()
