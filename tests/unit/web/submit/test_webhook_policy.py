"""Renders with a webhook: recorded with the job, or rejected at once."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.settings import Settings
from tests.unit.web.support import FakeBroker, TestClient, post, stored_sources
from web.dependencies import Services

URL = "https://portal.example.com/hook?x=1"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """One host is allowed, and the tenant acme has a secret."""
    hooks: dict[str, Any] = {
        "webhook_hosts": ("portal.example.com",),
        "webhook_secrets": {"acme": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
    }
    return settings.model_copy(update=hooks)


def test_given_an_allowed_webhook_then_it_is_pending_after_the_job_finishes(
    client: TestClient, services: Services, broker: FakeBroker
) -> None:
    job_id = post(client, webhook=URL).json()["id"]

    job = services.ledger.jobs.find(job_id)
    assert job is not None
    assert (job.webhook, job.webhook_pending) == (URL, True)
    assert broker.messages[0]["webhook"] == URL
    assert services.ledger.jobs.pending_webhooks() == []  # it has not finished

    client.delete(f"/renders/{job_id}")

    assert [due.id for due in services.ledger.jobs.pending_webhooks()] == [job_id]


def test_given_a_render_of_a_stored_source_then_its_webhook_is_recorded(client: TestClient, services: Services) -> None:
    post(client)
    body = {"source": stored_sources(services)[0], "webhook": URL, "options": {"width": 99}}

    job = services.ledger.jobs.find(client.post("/renders", json=body).json()["id"])

    assert job is not None
    assert job.webhook == URL


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://evil.example.net/", "This server does not send webhooks to that host (BULKHEAD_WEBHOOK_HOSTS)."),
        (
            "ftp://portal.example.com/",
            "The webhook must be a URL with a host name, such as https://portal.example.com/path.",
        ),
        ("https://u@portal.example.com/", "The webhook must be a URL with a host name"),
    ],
)
def test_given_a_webhook_that_could_never_be_sent_then_it_is_rejected_and_nothing_is_stored(
    url: str, message: str, client: TestClient, services: Services
) -> None:
    answer = post(client, webhook=url)

    assert (answer.status_code, answer.json()["code"]) == (422, "webhook-not-allowed")
    assert answer.json()["detail"].startswith(message)
    assert stored_sources(services) == []


def test_given_a_tenant_without_a_secret_then_its_webhooks_are_rejected(rival: TestClient) -> None:
    answer = post(rival, webhook=URL)

    assert answer.status_code == 422
    assert answer.json()["detail"] == (
        "The tenant rival may not use webhooks. "
        "Add it to BULKHEAD_WEBHOOK_TENANTS, and its secret to BULKHEAD_WEBHOOK_SECRETS."
    )


def test_given_an_idempotency_key_with_another_webhook_then_422(client: TestClient) -> None:
    key = {"idempotency-key": "key-1"}

    first, again, other = (post(client, headers=key, webhook=url) for url in (URL, URL, f"{URL}&y"))

    assert first.json()["id"] == again.json()["id"]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
