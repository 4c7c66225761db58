"""`Idempotency-Key`: one key, one job."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.jobs.idempotency import InProgress
from tasks.messaging.connections import BrokerUnavailable
from tests.unit.web.support import FakeBroker, TestClient, png, post, stored_sources
from web.dependencies import Services

KEY = {"idempotency-key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


def test_given_a_key_when_the_same_request_comes_again_then_it_is_the_same_job(
    client: TestClient, services: Services, broker: FakeBroker
) -> None:
    first = post(client, headers=KEY)
    again = post(client, headers=KEY)

    assert first.status_code == again.status_code == 202
    assert again.json()["id"] == first.json()["id"]
    assert len(broker.messages) == len(stored_sources(services)) == 1


@pytest.mark.parametrize(("drawing", "options"), [(png(salt=b"x"), {}), (png(), {"width": "99"})])
def test_given_a_key_when_another_request_comes_with_it_then_422_and_nothing_is_left(
    client: TestClient, services: Services, drawing: bytes, options: dict[str, str]
) -> None:
    post(client, headers=KEY)
    answer = post(client, drawing, headers=KEY, **options)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")
    assert "choose a new key" in answer.json()["detail"]
    assert len(stored_sources(services)) == 1


def test_given_a_key_that_is_being_handled_when_it_comes_again_then_409(client: TestClient, services: Services) -> None:
    services.ledger.idempotency_keys.reserve("acme", KEY["idempotency-key"], services.clock())
    answer = post(client, headers=KEY)

    assert (answer.status_code, answer.json()["code"]) == (409, "request-in-progress")
    assert answer.headers["retry-after"] == "1"


def test_given_a_job_that_the_broker_has_not_confirmed_when_its_key_comes_again_then_nobody_is_promised_it(
    client: TestClient, services: Services, broker: FakeBroker
) -> None:
    meanwhile = []

    def publish(task: str, job_id: str, message: dict[str, Any], *, queue: str | None = None) -> None:  # noqa: ARG001
        meanwhile.append(services.ledger.idempotency_keys.reserve("acme", KEY["idempotency-key"], services.clock()))
        raise BrokerUnavailable

    broker.publish = publish  # type: ignore[method-assign]

    assert post(client, headers=KEY).status_code == 503
    assert meanwhile == [InProgress()]


def test_given_a_key_of_one_tenant_when_another_uses_it_then_they_do_not_meet(
    client: TestClient, rival: TestClient
) -> None:
    assert post(client, headers=KEY).json()["id"] != post(rival, headers=KEY).json()["id"]


@pytest.mark.parametrize("key", ["", " ", "two words", "x" * 256, '"', "tab\there"])
def test_given_a_malformed_key_when_posted_then_400_says_what_a_key_is(client: TestClient, key: str) -> None:
    answer = post(client, headers={"idempotency-key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-malformed")
    assert "1 to 255 printable ASCII characters" in answer.json()["detail"]


def test_given_a_request_that_is_refused_when_corrected_then_its_key_is_free_again(client: TestClient) -> None:
    assert post(client, b"no drawing", headers=KEY).status_code == 422
    assert post(client, headers=KEY).status_code == 202


def test_given_a_job_that_was_removed_when_its_key_comes_again_then_it_is_a_new_job(client: TestClient) -> None:
    first = post(client, headers=KEY).json()["id"]
    client.delete(f"/renders/{first}")
    client.delete(f"/renders/{first}")
    assert post(client, headers=KEY).json()["id"] != first


def test_given_a_quoted_key_when_it_comes_bare_then_it_is_the_same(client: TestClient) -> None:
    first = post(client, headers={"idempotency-key": '"abc"'}).json()["id"]
    assert post(client, headers={"idempotency-key": "abc"}).json()["id"] == first
