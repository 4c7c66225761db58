"""`Idempotency-Key`: requests with one key create one job."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.jobs.idempotency import InProgress
from tasks.messaging.connections import BrokerUnavailable
from tests.unit.web.support import FakeBroker, TestClient, png, post, stored_sources
from web.dependencies import Services

KEY = {"idempotency-key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


def test_given_a_key_when_the_same_request_is_repeated_then_it_is_the_same_job(
    client: TestClient, services: Services, broker: FakeBroker
) -> None:
    first = post(client, headers=KEY)
    again = post(client, headers=KEY)

    assert first.status_code == again.status_code == 202
    assert again.json()["id"] == first.json()["id"]
    assert len(broker.messages) == len(stored_sources(services)) == 1


@pytest.mark.parametrize(("drawing", "options"), [(png(salt=b"x"), {}), (png(), {"width": "99"})])
def test_given_a_key_when_a_different_request_uses_it_then_422_and_nothing_is_stored(
    client: TestClient, services: Services, drawing: bytes, options: dict[str, str]
) -> None:
    post(client, headers=KEY)
    answer = post(client, drawing, headers=KEY, **options)

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")
    assert "Use a new key" in answer.json()["detail"]
    assert len(stored_sources(services)) == 1


def test_given_a_request_in_progress_when_it_is_repeated_then_409(client: TestClient, services: Services) -> None:
    services.ledger.idempotency_keys.reserve("acme", KEY["idempotency-key"], services.clock())
    answer = post(client, headers=KEY)

    assert (answer.status_code, answer.json()["code"]) == (409, "request-in-progress")
    assert answer.headers["retry-after"] == "1"


def test_given_an_unconfirmed_job_when_the_request_is_repeated_then_it_is_still_in_progress(
    client: TestClient, services: Services, broker: FakeBroker
) -> None:
    reservations = []

    def publish(task: str, job_id: str, message: dict[str, Any], *, queue: str | None = None) -> None:  # noqa: ARG001
        reservations.append(services.ledger.idempotency_keys.reserve("acme", KEY["idempotency-key"], services.clock()))
        raise BrokerUnavailable

    broker.publish = publish  # type: ignore[method-assign]

    assert post(client, headers=KEY).status_code == 503
    assert reservations == [InProgress()]


def test_given_a_key_of_one_tenant_when_another_tenant_uses_it_then_the_jobs_differ(
    client: TestClient, rival: TestClient
) -> None:
    assert post(client, headers=KEY).json()["id"] != post(rival, headers=KEY).json()["id"]


@pytest.mark.parametrize("key", ["", " ", "two words", "x" * 256, '"', "tab\there"])
def test_given_a_malformed_key_when_posted_then_400_describes_a_valid_one(client: TestClient, key: str) -> None:
    answer = post(client, headers={"idempotency-key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-malformed")
    assert "1 to 255 printable ASCII characters" in answer.json()["detail"]


def test_given_a_rejected_request_when_corrected_then_its_key_can_be_used_again(client: TestClient) -> None:
    assert post(client, b"no drawing", headers=KEY).status_code == 422
    assert post(client, headers=KEY).status_code == 202


def test_given_a_removed_job_when_its_key_is_used_again_then_it_is_a_new_job(client: TestClient) -> None:
    first = post(client, headers=KEY).json()["id"]
    client.delete(f"/renders/{first}")
    client.delete(f"/renders/{first}")
    assert post(client, headers=KEY).json()["id"] != first


def test_given_a_quoted_key_when_sent_without_quotes_then_it_is_the_same_key(client: TestClient) -> None:
    first = post(client, headers={"idempotency-key": '"abc"'}).json()["id"]
    assert post(client, headers={"idempotency-key": "abc"}).json()["id"] == first
