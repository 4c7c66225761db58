"""Signatures and retry delays."""

import time
from typing import Any

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from tasks.settings import Settings
from tasks.webhooks import WebhookMessage
from workers.webhooks.destination import DeliveryForbidden
from workers.webhooks.task import retry_delay, signed_headers

OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = WebhookMessage(
    id="0b0f7c1e-58a2-4ac5-9c1b-7d6c5a3f2e10",
    tenant="acme",
    url="https://portal.example.com/",
    body='{"type":"render.succeeded","data":{"filename":"Süd\u2028.dxf"}}',
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)


def settings(**fields: Any) -> Settings:
    return Settings.model_validate({"webhook_secrets": {"acme": f"{NEW} {OLD}"}, **fields})


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_given_a_receiver_with_either_secret_then_the_signature_is_valid(secret: str) -> None:
    headers = signed_headers(MESSAGE, settings(), time.time())

    assert Webhook(secret).verify(MESSAGE.body.encode(), headers)["type"] == "render.succeeded"
    assert headers["webhook-id"] == MESSAGE.id
    assert headers["traceparent"] == MESSAGE.traceparent


def test_given_another_body_or_secret_then_the_signature_is_invalid() -> None:
    headers = signed_headers(MESSAGE, settings(), time.time())

    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(MESSAGE.body.encode() + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_BBKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").verify(MESSAGE.body.encode(), headers)


def test_given_a_tenant_without_a_secret_then_nothing_is_sent() -> None:
    with pytest.raises(DeliveryForbidden, match="The tenant acme has no secret in BULKHEAD_WEBHOOK_SECRETS"):
        signed_headers(MESSAGE, settings(webhook_secrets={}), time.time())


def test_given_failed_attempts_then_the_next_delay_is_used_until_none_is_left() -> None:
    config = settings(webhook_retry_delays="5 30")

    assert [retry_delay(failed_attempts, config) for failed_attempts in range(3)] == [5, 30, None]
