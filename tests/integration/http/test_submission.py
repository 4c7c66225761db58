"""The HTTP API over a real broker: renders are durable or rejected, even if the broker fails."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.conftest import Broker
from tests.integration.http.api_server import ApiServer, open_api_server
from tests.integration.jobs.renders import NEW_QUEUE, eventually
from tests.services.platform import Platform
from tests.unit.web.support import png

pytestmark = pytest.mark.service

# Seconds within which a client learns that the broker does not confirm.
PROMPT = 2.0


@pytest.fixture
def api(platform: Platform) -> Iterator[ApiServer]:
    with open_api_server(platform) as api:
        yield api


def post_rejected(api: ApiServer, number: int) -> httpx.Response:
    """Post a drawing and assert that it is rejected promptly."""
    started = time.monotonic()
    answer = api.post(png(salt=b"rejected %d" % number))
    assert time.monotonic() - started < PROMPT
    return answer


def test_given_a_worker_when_a_drawing_is_posted_then_events_lead_to_its_outputs(api: ApiServer) -> None:
    api.platform.start_worker()
    created = api.post(png(300, 200), width="64").json()

    kinds, states = [], []
    with api.acme.stream("GET", created["links"]["events"]) as events:
        for line in events.iter_lines():
            if line.startswith("event: "):
                kinds.append(line.removeprefix("event: "))
            elif line.startswith("data: ") and kinds[-1] == "render":
                states.append(json.loads(line.removeprefix("data: "))["state"])
    render = api.acme.get(created["links"]["self"]).json()

    assert states[-1] == "succeeded"
    assert "progress" in kinds
    assert render["progress"]["percent"] == 100
    assert render["attempts"][-1]["outcome"] == "succeeded"
    manifest = api.acme.get(render["links"]["manifest"]).json()
    assert manifest["source"]["sha256"] == render["digest"]
    preview = api.acme.get(render["links"]["preview"])
    assert preview.content[8:12] == b"WEBP"
    again = api.acme.get(render["links"]["preview"], headers={"if-none-match": preview.headers["etag"]})
    assert again.status_code == 304
    assert api.rival.get(render["links"]["preview"]).status_code == 404


def test_given_a_rendered_drawing_when_posted_again_then_it_has_succeeded_at_once(api: ApiServer) -> None:
    api.platform.start_worker()
    first = api.post(png(30, 20), {"prefer": "wait=30"})
    again = api.post(png(30, 20))

    assert (first.status_code, first.json()["state"]) == (200, "succeeded")
    assert (again.status_code, again.json()["state"]) == (202, "succeeded")
    previews = [api.acme.get(answer.json()["links"]["preview"]).content for answer in (first, again)]
    assert previews[0] == previews[1]


def test_given_a_killed_broker_when_posted_then_prompt_503_and_202_after_its_restart(
    api: ApiServer, broker: Broker
) -> None:
    assert api.post(png()).status_code == 202
    time.sleep(NEW_QUEUE)
    broker.process.kill()

    rejected = [post_rejected(api, number) for number in range(5)]

    assert {answer.status_code for answer in rejected} == {503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in rejected)
    assert "Check BULKHEAD_BROKER_URL" in api.acme.get("/readyz").json()["checks"]["broker"]
    broker.process.start()
    broker.process.wait_ready()
    eventually(lambda: api.post(png(salt=b"back")).status_code == 202, timeout=30)
    listed = api.acme.get("/renders?limit=50").json()["renders"]
    assert {render["error"]["code"] for render in listed if render["state"] == "cancelled"} <= {"broker-unavailable"}
    assert eventually(lambda: api.acme.get("/readyz").status_code == 200, timeout=10)


def test_given_a_hanging_broker_when_many_post_then_prompt_503_and_202_after_it_recovers(
    platform: Platform, broker: Broker
) -> None:
    # A second for the broker leaves another second to cancel the jobs, even on a busy machine.
    with open_api_server(platform, publish_timeout="1") as api:
        assert api.post(png()).status_code == 202
        os.killpg(broker.process.pid, signal.SIGSTOP)
        try:
            with ThreadPoolExecutor(20) as pool:
                rejected = list(pool.map(lambda number: post_rejected(api, number), range(60)))
        finally:
            os.killpg(broker.process.pid, signal.SIGCONT)

        assert {answer.status_code for answer in rejected} == {503}
        eventually(lambda: api.post(png(salt=b"back")).status_code == 202, timeout=10)


def test_given_a_queue_that_fills_when_posted_then_429_with_retry_after(platform: Platform) -> None:
    with open_api_server(platform, queue_limit="5") as api:
        answers = [api.post(png(salt=b"%d" % number)) for number in range(1, 9)]

    assert [answer.status_code for answer in answers] == [202] * 5 + [429] * 3
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 300
    assert answers[-1].json()["code"] == "queue-full"


def test_given_one_key_when_twenty_clients_post_at_once_then_there_is_one_job(api: ApiServer) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: api.post(png(), {"idempotency-key": "one-and-only"}), range(20)))

    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {202, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == 1
    assert len(api.acme.get("/renders").json()["renders"]) == 1
    assert api.post(png(), {"idempotency-key": "one-and-only"}).status_code == 202
    assert api.post(png(salt=b"other"), {"idempotency-key": "one-and-only"}).status_code == 422


@pytest.mark.parametrize("size", [1, 20])
def test_given_a_client_without_a_token_when_it_sends_a_large_body_then_it_receives_the_401(
    api: ApiServer, size: int
) -> None:
    body = bytes(size << 20)
    answer = httpx.post(f"{api.platform.url}/renders", files={"blueprint": ("a", body)}, timeout=30)
    assert answer.status_code == 401


def test_given_an_upload_when_the_connection_breaks_then_nothing_is_stored(api: ApiServer) -> None:
    import socket

    head = (
        "POST /renders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token-of-acme-0001\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9000000\r\nIdempotency-Key: broken\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="blueprint"; filename="a"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", api.platform.port)) as connection:
        connection.sendall(head.encode() + bytes(2 << 20))
        eventually(lambda: any((api.platform.store / ".tmp").iterdir()), timeout=10)
    eventually(lambda: not any((api.platform.store / ".tmp").iterdir()), timeout=10)

    eventually(lambda: api.post(png(), {"idempotency-key": "broken"}).status_code == 202, timeout=10)


def test_given_open_event_streams_when_the_server_is_stopped_then_it_exits_in_time(api: ApiServer) -> None:
    created = api.post(png()).json()
    with api.acme.stream("GET", created["links"]["events"]) as events:
        next(events.iter_lines())
        started = time.monotonic()
        os.kill(api.process.pid, signal.SIGTERM)
        eventually(lambda: api.process.describe_exit() is not None, timeout=12)
    assert time.monotonic() - started < 12
