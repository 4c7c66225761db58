"""The task `webhooks.deliver`: sign, send, and if the receiver does not accept it, retry later."""

import time
from datetime import UTC, datetime
from typing import Any

from celery.exceptions import Reject
from celery.utils.log import get_logger
from standardwebhooks import Webhook

from tasks import app, webhooks
from tasks.messaging.publisher import PublishError
from tasks.settings import Settings, settings
from tasks.webhook_outbox import WebhookPublisher
from workers.webhooks.destination import DeliveryForbidden, resolve_destination
from workers.webhooks.post import DeliveryFailed, post

logger = get_logger(__name__)


@app.task(name=webhooks.TASK)
def deliver(**fields: Any) -> None:
    """Deliver one webhook, or schedule a retry. `fields` are those of WebhookMessage, validated before."""
    message = webhooks.WebhookMessage.model_validate(fields)
    config = settings()
    try:
        destination = resolve_destination(message.url, config)
        headers = signed_headers(message, config, time.time())
        post(destination, message.body.encode(), headers, config.webhook_timeout)
    except DeliveryForbidden as error:
        _reschedule(config, message, str(error), None)
    except (DeliveryFailed, OSError) as error:
        _reschedule(config, message, str(error), retry_delay(message.failed_attempts, config))
    else:
        logger.info("Webhook %s was delivered.", message.id)


def signed_headers(message: webhooks.WebhookMessage, settings: Settings, now: float) -> dict[str, str]:
    """Headers of a webhook that is sent `now`, in seconds since 1970. Raises DeliveryForbidden without a secret."""
    secrets = settings.webhook_secrets.get(message.tenant, "").split()
    if not secrets:
        raise DeliveryForbidden(f"The tenant {message.tenant} has no secret in BULKHEAD_WEBHOOK_SECRETS.")
    moment = datetime.fromtimestamp(int(now), UTC)
    headers = {
        "content-type": "application/json",
        "user-agent": "bulkhead",
        "webhook-id": message.id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": " ".join(Webhook(secret).sign(message.id, moment, message.body) for secret in secrets),
    }
    return headers | ({"traceparent": message.traceparent} if message.traceparent else {})


def retry_delay(failed_attempts: int, settings: Settings) -> float | None:
    """Seconds until the next attempt, after one that failed and `failed_attempts` before it; None: no more attempts."""
    delays = settings.webhook_retry_delays
    return delays[failed_attempts] if failed_attempts < len(delays) else None


def _reschedule(settings: Settings, message: webhooks.WebhookMessage, reason: str, seconds: float | None) -> None:
    """Publish the webhook for a later attempt, or to the dead letters. If that is not confirmed, it is requeued."""
    publisher = WebhookPublisher(app, settings.publish_timeout)
    try:
        if seconds is None:
            logger.error("Webhook %s failed and is not retried: %s", message.id, reason)
            publisher.dead_letter(message, reason)
        else:
            logger.warning("Webhook %s is retried in %g s: %s", message.id, seconds, reason)
            retry = message.model_copy(update={"failed_attempts": message.failed_attempts + 1})
            publisher.publish_delayed(retry, seconds)
    except PublishError as error:
        raise Reject(str(error), requeue=True) from error
    finally:
        publisher.close()
