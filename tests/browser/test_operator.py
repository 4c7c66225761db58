"""The panels of the operator page, and the selection of plants on the floor page."""

from __future__ import annotations

import re
import time

import pytest
import redis
from playwright.sync_api import Page, expect

from tasks.sensors import LAST_FLUSH_KEY, PLANTS_KEY, LastFlush
from tests.browser.conftest import Screenshot, open_page

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]


@pytest.mark.usefixtures("drawing")  # so that there is a render
def test_given_a_platform_when_the_operator_page_is_opened_then_each_panel_shows_data_or_why_there_is_none(
    page: Page, redis_url: str, screenshot: Screenshot
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.delete(LAST_FLUSH_KEY)
        open_page(page, "/#/operator")
        workers = page.get_by_role("region", name="Workers")
        memory = workers.locator("tr", has_text="render1@").locator(".memory")
        expect(memory).to_contain_text(re.compile(r"\d [MG]iB"), timeout=20_000)
        expect(workers).to_contain_text("0 crashed")
        expect(page.get_by_role("region", name="Leak detection").locator("tbody")).to_contain_text("dxf")
        expect(page.get_by_role("region", name="Ticket keys")).to_contain_text("No nodes have joined yet")
        expect(page.get_by_role("region", name="Heartbeats")).to_contain_text("No heartbeats have been written yet")

        now = time.time()
        last = LastFlush(
            flushed_at=now, received_at=now - 1.5, window_seconds=60, flush_seconds=0.21, machines=4_500, beats=270_000
        )
        client.set(LAST_FLUSH_KEY, last.model_dump_json(), ex=60)
    open_page(page, "/")
    open_page(page, "/#/operator")
    heartbeats = page.get_by_role("region", name="Heartbeats")
    expect(heartbeats.get_by_role("row", name="Lag")).to_contain_text("1.5 s")
    expect(heartbeats.get_by_role("row", name="Beats per second")).to_contain_text("4,500")
    screenshot(page, "operator")


def test_given_several_plants_when_the_floor_page_is_opened_then_each_has_a_link(
    page: Page, redis_url: str, screenshot: Screenshot
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.zadd(PLANTS_KEY, {"bern": time.time(), "graz": time.time()})
    open_page(page, "/#/floor")
    screenshot(page, "plants")
    page.get_by_role("navigation", name="Plants").get_by_role("link", name="graz").click()
    expect(page.get_by_role("heading", name="Plant graz")).to_be_visible()
    assert page.url.endswith("#/floor/graz")
    page.get_by_role("navigation", name="Plants").get_by_role("link", name="bern").click()
    expect(page.get_by_role("heading", name="Plant bern")).to_be_visible()
