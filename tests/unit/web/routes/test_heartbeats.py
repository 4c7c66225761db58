"""POST /heartbeats: accepted once the broker confirms; otherwise rejected with advice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tasks.heartbeats import MAX_BODY
from tasks.messaging.connections import BrokerUnavailable, QueueFull
from tests.unit.web.support import FakeHeartbeatSink, TestClient

ULM = {"authorization": "Bearer token-of-plant-ulm"}
BEAT = {"machine": "press-07", "seq": 41, "seen_at": 1_790_000_000.25, "status": "running", "rpm": 1480.5}
MESSAGE = {"version": 1, "plant": "ulm", "beats": [BEAT, {**BEAT, "seq": 42}]}


def post(client: TestClient, message: Any = MESSAGE, **headers: str) -> Any:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return client.post("/heartbeats", content=body, headers={"content-type": "application/json", **ULM, **headers})


def test_given_heartbeats_of_the_tokens_plant_when_sent_then_they_are_in_the_stream_unchanged(
    client: TestClient, heartbeats: FakeHeartbeatSink
) -> None:
    answer = post(client)

    assert (answer.status_code, answer.json()) == (202, {"beats": 2})
    assert [json.loads(body) for body in heartbeats.bodies] == [MESSAGE]


@pytest.mark.parametrize(
    ("error", "code"), [(BrokerUnavailable(), "broker-unavailable"), (QueueFull(), "stream-unavailable")]
)
def test_given_a_broker_that_does_not_confirm_then_503_says_to_retry(
    client: TestClient, heartbeats: FakeHeartbeatSink, error: Exception, code: str
) -> None:
    heartbeats.error = error

    answer = post(client)

    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert int(answer.headers["retry-after"]) > 0


def test_given_another_plant_than_the_tokens_then_403_and_nothing_is_published(
    client: TestClient, heartbeats: FakeHeartbeatSink
) -> None:
    answer = post(client, {**MESSAGE, "plant": "bern"})

    assert (answer.status_code, answer.json()["code"]) == (403, "wrong-plant")
    assert answer.json()["detail"] == "This token belongs to the plant ulm, not to bern."
    assert heartbeats.bodies == []


@pytest.mark.parametrize("token", ["", "Bearer token-of-acme-0001", "Bearer nonsense-nonsense"])
def test_given_no_plant_token_then_401(client: TestClient, heartbeats: FakeHeartbeatSink, token: str) -> None:
    answer = post(client, authorization=token)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert heartbeats.bodies == []


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({**MESSAGE, "version": 2}, "Invalid enum value 2 - at `$.version`"),
        ({**MESSAGE, "beats": [{**BEAT, "machine": "../7"}]}, "`$.beats[0].machine`"),
        ({**MESSAGE, "beats": [{**BEAT, "torque": 7}]}, "unknown field `torque`"),
        (
            b'{"plant": "ulm", "beats": [{"machine": "a", "seq": 1, "seen_at": 1, "status": "idle", "rpm": NaN}]}',
            "JSON",
        ),
    ],
)
def test_given_an_invalid_message_then_422_says_where(
    client: TestClient, heartbeats: FakeHeartbeatSink, message: Any, expected: str
) -> None:
    answer = post(client, message)

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed-heartbeats")
    assert expected in answer.json()["detail"]
    assert heartbeats.bodies == []


def test_given_a_body_over_the_limit_then_413(client: TestClient, heartbeats: FakeHeartbeatSink) -> None:
    answer = post(client, b" " * (MAX_BODY + 1))

    assert (answer.status_code, answer.json()["code"]) == (413, "request-too-large")
    assert heartbeats.bodies == []


def test_given_another_media_type_then_415(client: TestClient) -> None:
    assert post(client, **{"content-type": "text/plain"}).status_code == 415


def test_given_no_redis_when_readings_are_requested_then_503_names_the_setting(client: TestClient) -> None:
    for address in ("/sensors/plants", "/sensors?plant=ulm", "/sensors/ulm/press-07", "/sensors/events?plant=ulm"):
        answer = client.get(address, headers=ULM)
        assert (answer.status_code, answer.json()["code"]) == (503, "readings-not-configured")
        assert "BULKHEAD_REDIS_URL" in answer.json()["detail"]


@pytest.mark.parametrize("address", ["/sensors?plant=bern", "/sensors/bern/press-07", "/sensors/events?plant=bern"])
def test_given_another_plant_when_read_then_404(client: TestClient, address: str) -> None:
    assert client.get(address, headers=ULM).status_code == 404
