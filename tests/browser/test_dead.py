"""The page of a dead job shows the explanations of the ledger, and the job can be replayed after a fix."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Page, expect

from benchmarks.support import drawings
from tasks import renders
from tasks.jobs import State
from tasks.messaging.topology import LARGE
from tests.browser.conftest import Screenshot, open_page
from tests.integration.jobs.renders import Renders
from tests.services.platform import ROOT, Platform
from tests.system.storms.faulty_engine import CRASH, svg_with_fault

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

TENANT = "local"  # tenant of the viewer without tokens


@pytest.fixture
def sent(site: Platform) -> Iterator[Renders]:
    sent = Renders(site)
    yield sent
    sent.close()


def dead_job(site: Platform, sent: Renders) -> str:
    """Create a job whose attempts all crash, in a queue without other workers."""
    job = str(uuid.uuid4())
    message = renders.RenderMessage(
        job=job, tenant=TENANT, source=renders.source_key(TENANT, job), filename="crash.svg"
    )
    sent.store.put(message.source, svg_with_fault(drawings.svg(1), CRASH, 30))
    crashing_worker = site.start_worker(
        "crashing_worker", "--include", "tests.system.storms.faulty_engine", queue=LARGE
    )
    sent.accept(message, queue=LARGE)
    sent.publish(message, queue=LARGE)
    dead = sent.finished(job)
    crashing_worker.stop()
    assert (dead.state, dead.crashes) == (State.DEAD, 3), (dead, sent.history(job))
    return job


def test_given_a_dead_job_when_its_page_is_opened_then_it_shows_the_explanations_and_a_replay_renders_it(
    page: Page, site: Platform, sent: Renders, screenshot: Screenshot
) -> None:
    job = dead_job(site, sent)
    command = [sys.executable, "-m", "cli", "dead", "show", job]
    output = subprocess.run(
        command, env=site.environment_with(), cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    explanations = [attempt.explanation for attempt in sent.history(job)]
    assert len(explanations) == 3
    assert "crashed in native code with SIGSEGV" in (explanations[0] or "")

    open_page(page, "/#/operator")
    page.get_by_text("crash.svg").click()
    page.get_by_role("link", name="Details").click()
    expect(page.get_by_role("heading", name="crash.svg")).to_be_visible()
    assert page.locator(".failure-message").inner_text() == output[1]
    shown = page.locator(".attempts li span").all_inner_texts()
    assert shown == explanations
    assert shown == [line.split(": ", 1)[1] for line in output[2:]]
    screenshot(page, "dead")

    open_page(page, "/")
    page.locator(".job", has_text="crash.svg").get_by_role("link").click()
    expect(page.get_by_role("heading", name="crash.svg")).to_be_visible()
    site.start_worker("fixed", queue=LARGE)
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("region", name="Drawing crash.svg")).to_be_visible(timeout=60_000)
    screenshot(page, "fixed")
    assert_whole_drawing_is_visible(page)
    replayed = sent.find(job)
    assert (replayed.state, replayed.error, replayed.attempt) == (State.SUCCEEDED, None, 4)
    assert job not in {letter.id for letter in sent.letters.peek()}


def assert_whole_drawing_is_visible(page: Page) -> None:
    """A square drawing that was just opened is completely visible."""
    page.get_by_role("button", name="Default").click()  # updates the view in the URL: left, top and width
    page.wait_for_url("**v=*")
    left, top, width = map(float, parse_qs(page.url.split("?")[1])["v"][0].split(","))
    box = page.locator("#paper").bounding_box()
    assert box
    assert left <= 0
    assert top <= 0
    assert min(left + width, top + width * box["height"] / box["width"]) >= 1
