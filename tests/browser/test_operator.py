"""What an operator sees of the platform's parts, and which plants the floor offers."""

from __future__ import annotations

import re
import time

import pytest
import redis
from playwright.sync_api import Page, expect

from tasks.sensors import LAST_FLUSH_KEY, PLANTS_KEY, LastFlush
from tests.browser.conftest import Shot, settled

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]


@pytest.mark.usefixtures("drawing")  # something was rendered
def test_given_a_platform_when_the_operator_looks_then_each_part_tells_how_it_does_or_that_it_is_not_run(
    page: Page, redis_url: str, shot: Shot
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.delete(LAST_FLUSH_KEY)
        settled(page, "/#/operator")
        workers = page.get_by_role("region", name="Workers")
        fence = workers.locator("tr", has_text="render1@").locator(".fence")
        expect(fence).to_contain_text(re.compile(r"\d [MG]B"), timeout=20_000)
        expect(workers).to_contain_text("0 died")
        expect(page.get_by_role("region", name="Leak watch").locator("tbody")).to_contain_text("dxf")
        expect(page.get_by_role("region", name="Ticket keys")).to_contain_text("Nothing here yet: no node has keys")
        expect(page.get_by_role("region", name="Coalescer")).to_contain_text("Nothing here yet: no heartbeats")

        now = time.time()
        last = LastFlush(
            flushed_at=now, received_at=now - 1.5, window_seconds=60, flush_seconds=0.21, machines=4_500, beats=270_000
        )
        client.set(LAST_FLUSH_KEY, last.model_dump_json(), ex=60)
    settled(page, "/")
    settled(page, "/#/operator")
    coalescer = page.get_by_role("region", name="Coalescer")
    expect(coalescer.get_by_role("row", name="Lag behind the last beat")).to_contain_text("1.5 s")
    expect(coalescer.get_by_role("row", name="Beats a second")).to_contain_text("4,500")
    shot(page, "operator")


def test_given_several_plants_when_the_floor_is_opened_then_each_is_a_link_to_its_own_address(
    page: Page, redis_url: str, shot: Shot
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.zadd(PLANTS_KEY, {"bern": time.time(), "graz": time.time()})
    settled(page, "/#/floor")
    shot(page, "plants")
    page.get_by_role("navigation", name="Plants").get_by_role("link", name="graz").click()
    expect(page.get_by_role("heading", name="Plant graz")).to_be_visible()
    assert page.url.endswith("#/floor/graz")
    page.get_by_role("navigation", name="Plants").get_by_role("link", name="bern").click()
    expect(page.get_by_role("heading", name="Plant bern")).to_be_visible()
