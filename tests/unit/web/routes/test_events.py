"""Server-sent events: the state on connect, progress, the end."""

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


def word(job: str, percent: int = 0, state: str = "running", attempt: int = 1) -> ProgressMessage:
    return ProgressMessage(job=job, tenant="acme", state=state, attempt=attempt, percent=percent, stage="draw")


def parsed(event: str) -> tuple[str, dict[str, object]]:
    fields = dict(line.split(": ", 1) for line in event.strip().splitlines())
    return fields["event"], json.loads(fields["data"])


def test_given_a_settled_job_when_watched_then_its_state_comes_and_the_stream_ends(
    client: TestClient, finish: Finish
) -> None:
    own = post(client).json()
    finish(own["id"])
    answer = client.get(own["links"]["events"])

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    kind, render = parsed(answer.text.replace("id: end\n", ""))
    assert (kind, render["state"]) == ("render", "succeeded")
    assert answer.text.startswith("id: end\n")


def test_given_a_browser_that_saw_the_end_when_it_comes_back_then_204_keeps_it_away(
    client: TestClient, finish: Finish
) -> None:
    own = post(client).json()
    finish(own["id"])
    assert client.get(own["links"]["events"], headers={"last-event-id": "end"}).status_code == 204


def test_given_a_running_job_when_watched_then_progress_comes_as_it_is_told_and_the_end_from_the_ledger(
    client: TestClient, services: Services
) -> None:
    job_id = post(client).json()["id"]
    job = services.ledger.jobs.find(job_id)
    assert job is not None
    assert isinstance(services.ledger.attempts.claim(job, lease_owner="h:1:x", now=1.0, lease=30), Claimed)

    async def watch() -> list[str]:
        events: AsyncIterator[str] = stream(services, "acme", job_id)
        seen = [await anext(events)]
        for percent in (10, 55):
            services.progress_hub.publish(word(job_id, percent))
            seen.append(await anext(events))
        await asyncio.to_thread(services.ledger.attempts.succeed, job_id, 1, now=2.0, artifact="a" * 64)
        services.progress_hub.publish(word(job_id, 100, state="succeeded"))
        seen += [event async for event in events]
        return seen

    first, ten, more, end = asyncio.run(watch())
    assert parsed(first)[1]["state"] == "running"
    assert parsed(ten) == ("progress", {"percent": 10, "stage": "draw", "layer": ""})
    assert parsed(more)[1]["percent"] == 55
    assert end.startswith("id: end\nevent: render\n")
    assert services.progress_hub.latest(job_id) is None


def test_given_a_job_of_which_nothing_is_heard_when_watched_then_the_line_is_kept_alive_and_the_ledger_tells_its_end(
    client: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = post(client).json()["id"]

    async def watch() -> list[str]:
        events = stream(services, "acme", job_id)
        seen = [await anext(events), await anext(events)]
        await asyncio.to_thread(services.ledger.jobs.cancel, job_id, 3.0, error={"code": "c", "detail": "d"})
        await poll_once(services)
        return [*seen, *[event async for event in events]]

    monkeypatch.setattr("web.progress.server_sent_events.KEEP_ALIVE_INTERVAL", 0.01)
    _first, quiet, *_more, end = asyncio.run(watch())
    assert quiet == KEEP_ALIVE
    assert '"state":"cancelled"' in end


def test_given_a_job_that_is_removed_when_watched_then_the_stream_ends(client: TestClient, services: Services) -> None:
    job_id = post(client).json()["id"]

    async def watch() -> list[str]:
        events = stream(services, "acme", job_id)
        seen = [await anext(events)]
        await asyncio.to_thread(services.ledger.jobs.cancel, job_id, 3.0, error={"code": "c", "detail": "d"})
        await asyncio.to_thread(services.ledger.jobs.remove, job_id)
        services.progress_hub.publish(word(job_id, state="cancelled"))
        return [*seen, *[event async for event in events]]

    assert len(asyncio.run(watch())) == 1


def test_given_a_hundred_watchers_of_a_running_job_then_the_ledger_is_asked_as_often_as_for_one(
    client: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = post(client).json()["id"]
    job = services.ledger.jobs.find(job_id)
    assert job is not None
    asked: list[str] = []
    whole = services.ledger.attempts.history

    def counted(job_id: str) -> list[Attempt]:
        asked.append(job_id)
        return whole(job_id)

    monkeypatch.setattr(services.ledger.attempts, "history", counted)
    monkeypatch.setattr("web.progress.server_sent_events.KEEP_ALIVE_INTERVAL", 0.01)

    async def watch() -> list[list[str]]:
        streams = [stream(services, "acme", job_id) for _ in range(100)]
        firsts = [await anext(each) for each in streams]
        assert {parsed(first)[1]["state"] for first in firsts} == {"queued"}
        await asyncio.to_thread(services.ledger.attempts.claim, job, lease_owner="h:1:x", now=1.0, lease=30)
        services.progress_hub.publish(word(job_id, 0))
        services.progress_hub.publish(word(job_id, 40))
        for each in streams:
            assert parsed(await anext(each))[1]["state"] == "running"
        await poll_once(services)
        await asyncio.to_thread(services.ledger.attempts.succeed, job_id, 1, now=2.0, artifact="a" * 64)
        await poll_once(services)  # the word itself was lost
        return [[event async for event in each] for each in streams]

    for events in asyncio.run(watch()):
        assert '"state":"succeeded"' in events[-1]
    assert len(asked) == 3


def test_given_a_job_in_the_middle_when_another_one_begins_to_watch_then_they_see_how_far_it_is(
    client: TestClient, services: Services
) -> None:
    job_id = post(client).json()["id"]
    job = services.ledger.jobs.find(job_id)
    assert job is not None
    services.ledger.attempts.claim(job, lease_owner="h:1:x", now=1.0, lease=30)

    async def watch() -> str:
        first = stream(services, "acme", job_id)
        await anext(first)
        services.progress_hub.publish(word(job_id, 55))
        second = stream(services, "acme", job_id)
        return await anext(second)

    assert parsed(asyncio.run(watch()))[1]["progress"] == {"percent": 55, "stage": "draw", "layer": ""}


def test_given_a_slow_watcher_when_much_is_told_then_it_misses_the_oldest_and_nobody_waits() -> None:
    watchers = ProgressHub()
    with watchers.subscribe("job") as words:
        for percent in range(QUEUE_SIZE + 10):
            watchers.publish(word("job", percent % 101))
        assert words.qsize() == QUEUE_SIZE
        assert words.get_nowait().percent == 10
    watchers.publish(word("job", 7))
    latest = watchers.latest("job")
    assert latest is not None
    assert latest.percent == 7


def test_given_streams_that_were_opened_together_when_they_rest_then_they_do_not_speak_together() -> None:
    rests = [keep_alive_delay() for _ in range(1_000)]
    assert all(KEEP_ALIVE_INTERVAL / 2 <= each <= KEEP_ALIVE_INTERVAL for each in rests)
    most_in_a_moment = max(sum(moment <= each < moment + 0.1 for each in rests) for moment in rests)
    assert most_in_a_moment < 50
