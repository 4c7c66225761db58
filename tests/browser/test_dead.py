"""A drawing that killed every attempt: its page says what the ledger says, and it is drawn once its cause is mended."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Page, expect

from benchmarks import _drawings as drawings
from tasks import renders
from tasks.jobs import State
from tasks.messaging.topology import LARGE
from tests.browser.conftest import Shot, settled
from tests.integration.jobs.renders import Renders
from tests.services.platform import ROOT, Platform
from tests.system.storms.faulty_engine import CRASH, svg_saying

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

TENANT = "local"  # whom the viewer shows without tokens


@pytest.fixture
def sent(site: Platform) -> Iterator[Renders]:
    sent = Renders(site)
    yield sent
    sent.close()


def dead_job(site: Platform, sent: Renders) -> str:
    """Have a job die of every attempt that it gets, in a lane where no other worker is."""
    job = str(uuid.uuid4())
    message = renders.RenderMessage(
        job=job, tenant=TENANT, source=renders.source_key(TENANT, job), filename="crash.svg"
    )
    sent.store.put(message.source, svg_saying(drawings.svg(1), CRASH, 30))
    frail = site.start_worker("frail", "--include", "tests.system.storms.faulty_engine", queue=LARGE)
    sent.accept(message, queue=LARGE)
    sent.publish(message, queue=LARGE)
    dead = sent.finished(job)
    frail.stop()
    assert (dead.state, dead.crashes) == (State.DEAD, 3), (dead, sent.history(job))
    return job


def test_given_a_dead_job_when_its_page_is_opened_then_it_says_what_the_ledger_says_and_another_try_draws_it(
    page: Page, site: Platform, sent: Renders, shot: Shot
) -> None:
    job = dead_job(site, sent)
    command = [sys.executable, "-m", "bulkhead", "dead", "show", job]
    told = subprocess.run(
        command, env=site.environment_with(), cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    stories = [attempt.explanation for attempt in sent.history(job)]
    assert len(stories) == 3
    assert "crashed in native code with SIGSEGV" in (stories[0] or "")

    settled(page, "/#/operator")
    page.get_by_text("crash.svg").click()
    page.get_by_role("link", name="Its page").click()
    expect(page.get_by_role("heading", name="crash.svg")).to_be_visible()
    assert page.locator(".sentence").inner_text() == told[1]
    sentences = page.locator(".story li span").all_inner_texts()
    assert sentences == stories
    assert sentences == [line.split(": ", 1)[1] for line in told[2:]]
    shot(page, "dead")

    settled(page, "/")
    page.locator(".job", has_text="crash.svg").get_by_role("link").click()
    expect(page.get_by_role("heading", name="crash.svg")).to_be_visible()
    site.start_worker("mended", queue=LARGE)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("region", name="Drawing crash.svg")).to_be_visible(timeout=60_000)
    shot(page, "mended")
    assert_seen_whole(page)
    done = sent.find(job)
    assert (done.state, done.error, done.attempt) == (State.SUCCEEDED, None, 4)
    assert job not in {letter.id for letter in sent.letters.peek()}


def assert_seen_whole(page: Page) -> None:
    """A square drawing that was just opened lies in the window from edge to edge."""
    page.get_by_role("button", name="As drawn").click()  # writes the view into the address: left, top and width
    page.wait_for_url("**v=*")
    left, top, width = map(float, parse_qs(page.url.split("?")[1])["v"][0].split(","))
    room = page.locator("#paper").bounding_box()
    assert room
    assert left <= 0
    assert top <= 0
    assert min(left + width, top + width * room["height"] / room["width"]) >= 1
