"""Server-sent events: the current state, progress and the final state."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest

from tasks.jobs import Attempt, Claimed, Job
from tasks.messaging.progress import ProgressMessage
from tests.unit.web.support import TestClient, post
from web.dependencies import Services
from web.progress.hub import QUEUE_SIZE, ProgressHub
from web.progress.job_poller import poll_once
from web.progress.server_sent_events import KEEP_ALIVE, KEEP_ALIVE_INTERVAL, keep_alive_delay
from web.routes.events import stream

Finish = Callable[..., Job]


def message(job: str, percent: int = 0, state: str = "running", attempt: int = 1) -> ProgressMessage:
    return ProgressMessage(job=job, tenant="acme", state=state, attempt=attempt, percent=percent, stage="draw")


def parsed(event: str) -> tuple[str, dict[str, object]]:
    fields = dict(line.split(": ", 1) for line in event.strip().splitlines())
    return fields["event"], json.loads(fields["data"])


def test_given_a_finished_job_when_watched_then_its_state_is_sent_and_the_stream_ends(
    client: TestClient, finish: Finish
) -> None:
    created = post(client).json()
    finish(created["id"])
    answer = client.get(created["links"]["events"])

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    kind, render = parsed(answer.text.replace("id: end\n", ""))
    assert (kind, render["state"]) == ("render", "succeeded")
    assert answer.text.startswith("id: end\n")


def test_given_a_browser_that_received_the_final_event_when_it_reconnects_then_204(
    client: TestClient, finish: Finish
) -> None:
    created = post(client).json()
    finish(created["id"])
    assert client.get(created["links"]["events"], headers={"last-event-id": "end"}).status_code == 204


def test_given_a_running_job_when_watched_then_progress_and_the_final_state_are_sent(
    client: TestClient, services: Services
) -> None:
    job_id = post(client).json()["id"]
    job = services.ledger.jobs.find(job_id)
    assert job is not None
    assert isinstance(services.ledger.attempts.claim(job, lease_owner="h:1:x", now=1.0, lease=30), Claimed)

    async def watch() -> list[str]:
        events: AsyncIterator[str] = stream(services, "acme", job_id)
        events_received = [await anext(events)]
        for percent in (10, 55):
            services.progress_hub.publish(message(job_id, percent))
            events_received.append(await anext(events))
        await asyncio.to_thread(services.ledger.attempts.succeed, job_id, 1, now=2.0, artifact="a" * 64)
        services.progress_hub.publish(message(job_id, 100, state="succeeded"))
        events_received += [event async for event in events]
        return events_received

    first, ten, more, end = asyncio.run(watch())
    assert parsed(first)[1]["state"] == "running"
    assert parsed(ten) == ("progress", {"percent": 10, "stage": "draw", "layer": ""})
    assert parsed(more)[1]["percent"] == 55
    assert end.startswith("id: end\nevent: render\n")
    assert services.progress_hub.latest(job_id) is None


def test_given_a_job_without_messages_when_watched_then_keep_alives_and_the_state_in_the_ledger_are_sent(
    client: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = post(client).json()["id"]

    async def watch() -> list[str]:
        events = stream(services, "acme", job_id)
        events_received = [await anext(events), await anext(events)]
        await asyncio.to_thread(services.ledger.jobs.cancel, job_id, 3.0, error={"code": "c", "detail": "d"})
        await poll_once(services)
        return [*events_received, *[event async for event in events]]

    monkeypatch.setattr("web.progress.server_sent_events.KEEP_ALIVE_INTERVAL", 0.01)
    _first, keep_alive, *_more, end = asyncio.run(watch())
    assert keep_alive == KEEP_ALIVE
    assert '"state":"cancelled"' in end


def test_given_a_watched_job_when_it_is_removed_then_the_stream_ends(client: TestClient, services: Services) -> None:
    job_id = post(client).json()["id"]

    async def watch() -> list[str]:
        events = stream(services, "acme", job_id)
        events_received = [await anext(events)]
        await asyncio.to_thread(services.ledger.jobs.cancel, job_id, 3.0, error={"code": "c", "detail": "d"})
        await asyncio.to_thread(services.ledger.jobs.remove, job_id)
        services.progress_hub.publish(message(job_id, state="cancelled"))
        return [*events_received, *[event async for event in events]]

    assert len(asyncio.run(watch())) == 1


def test_given_a_hundred_viewers_of_a_running_job_then_the_ledger_is_queried_as_often_as_for_one(
    client: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = post(client).json()["id"]
    job = services.ledger.jobs.find(job_id)
    assert job is not None
    queried: list[str] = []
    history = services.ledger.attempts.history

    def counted(job_id: str) -> list[Attempt]:
        queried.append(job_id)
        return history(job_id)

    monkeypatch.setattr(services.ledger.attempts, "history", counted)
    monkeypatch.setattr("web.progress.server_sent_events.KEEP_ALIVE_INTERVAL", 0.01)

    async def watch() -> list[list[str]]:
        streams = [stream(services, "acme", job_id) for _ in range(100)]
        first_events = [await anext(each) for each in streams]
        assert {parsed(first)[1]["state"] for first in first_events} == {"queued"}
        await asyncio.to_thread(services.ledger.attempts.claim, job, lease_owner="h:1:x", now=1.0, lease=30)
        services.progress_hub.publish(message(job_id, 0))
        services.progress_hub.publish(message(job_id, 40))
        for each in streams:
            assert parsed(await anext(each))[1]["state"] == "running"
        await poll_once(services)
        await asyncio.to_thread(services.ledger.attempts.succeed, job_id, 1, now=2.0, artifact="a" * 64)
        await poll_once(services)  # the message itself was lost
        return [[event async for event in each] for each in streams]

    for events in asyncio.run(watch()):
        assert '"state":"succeeded"' in events[-1]
    assert len(queried) == 3


def test_given_a_job_in_progress_when_another_viewer_connects_then_the_latest_progress_is_sent(
    client: TestClient, services: Services
) -> None:
    job_id = post(client).json()["id"]
    job = services.ledger.jobs.find(job_id)
    assert job is not None
    services.ledger.attempts.claim(job, lease_owner="h:1:x", now=1.0, lease=30)

    async def watch() -> str:
        first = stream(services, "acme", job_id)
        await anext(first)
        services.progress_hub.publish(message(job_id, 55))
        second = stream(services, "acme", job_id)
        return await anext(second)

    assert parsed(asyncio.run(watch()))[1]["progress"] == {"percent": 55, "stage": "draw", "layer": ""}


def test_given_a_slow_subscriber_when_its_queue_is_full_then_the_oldest_messages_are_dropped() -> None:
    hub = ProgressHub()
    with hub.subscribe("job") as messages:
        for percent in range(QUEUE_SIZE + 10):
            hub.publish(message("job", percent % 101))
        assert messages.qsize() == QUEUE_SIZE
        assert messages.get_nowait().percent == 10
    hub.publish(message("job", 7))
    latest = hub.latest("job")
    assert latest is not None
    assert latest.percent == 7


def test_given_streams_that_were_opened_together_then_their_keep_alives_are_spread_over_time() -> None:
    delays = [keep_alive_delay() for _ in range(1_000)]
    assert all(KEEP_ALIVE_INTERVAL / 2 <= each <= KEEP_ALIVE_INTERVAL for each in delays)
    most_at_once = max(sum(moment <= each < moment + 0.1 for each in delays) for moment in delays)
    assert most_at_once < 50
