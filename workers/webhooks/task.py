"""`webhooks.deliver`: sign, send, and if nobody takes it, let it wait and come back."""

import time
from datetime import UTC, datetime
from typing import Any

from celery.exceptions import Reject
from celery.utils.log import get_logger
from standardwebhooks import Webhook

from tasks import app, webhooks
from tasks.webhook_outbox import WebhookPublisher
from tasks.messaging.publisher import PublishError
from tasks.settings import Settings, settings
from workers.webhooks.destination import DeliveryForbidden, resolve_destination
from workers.webhooks.post import DeliveryFailed, post

logger = get_logger(__name__)


@app.task(name=webhooks.TASK)
def deliver(**fields: Any) -> None:
    """Deliver one webhook, or see to what becomes of it. `fields` are those of WebhookMessage, checked by the guard."""
    message = webhooks.WebhookMessage.model_validate(fields)
    chosen = settings()
    try:
        where = resolve_destination(message.url, chosen)
        post(where, message.body.encode(), signed_headers(message, chosen, time.time()), chosen.webhook_timeout)
    except DeliveryForbidden as error:
        _reschedule(chosen, message, str(error), None)
    except (DeliveryFailed, OSError) as error:
        _reschedule(chosen, message, str(error), retry_delay(message.failed_attempts, chosen))
    else:
        logger.info("Webhook %s was taken.", message.id)


def signed_headers(message: webhooks.WebhookMessage, settings: Settings, now: float) -> dict[str, str]:
    """Headers of a webhook that is sent `now`, seconds since 1970. Raises Refused where there is no secret."""
    secrets = settings.webhook_secrets.get(message.tenant, "").split()
    if not secrets:
        raise DeliveryForbidden(f"the tenant {message.tenant} has no secret in BULKHEAD_WEBHOOK_SECRETS")
    moment = datetime.fromtimestamp(int(now), UTC)
    headers = {
        "content-type": "application/json",
        "user-agent": "bulkhead",
        "webhook-id": message.id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": " ".join(Webhook(secret).sign(message.id, moment, message.body) for secret in secrets),
    }
    return headers | ({"traceparent": message.traceparent} if message.traceparent else {})


def retry_delay(tries: int, settings: Settings) -> float | None:
    """Seconds until a webhook that was sent in vain, and `tries` times before, is sent again; None: never."""
    return settings.webhook_retry_delays[tries] if tries < len(settings.webhook_retry_delays) else None


def _reschedule(settings: Settings, message: webhooks.WebhookMessage, reason: str, seconds: float | None) -> None:
    """Put the webhook where it waits, or to the dead letters. If that is not confirmed, it stays where it is."""
    publisher = WebhookPublisher(app, settings.publish_timeout)
    try:
        if seconds is None:
            logger.error("Webhook %s is given up: %s.", message.id, reason)
            publisher.dead_letter(message, reason)
        else:
            logger.warning("Webhook %s is sent again in %g s: %s.", message.id, seconds, reason)
            publisher.publish_delayed(message.model_copy(update={"tries": message.failed_attempts + 1}), seconds)
    except PublishError as error:
        raise Reject(str(error), requeue=True) from error
    finally:
        publisher.close()
