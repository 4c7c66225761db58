"""Announcing the ends of jobs: webhooks are published from the ledger, and sent on when nobody takes them."""

from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from tasks.jobs import Ledger
from tasks.messaging.connections import ConnectionPool, PublisherConnection
from tasks.messaging.dead_letters import REASON_HEADER
from tasks.messaging.topology import DEAD_EXCHANGE, EXCHANGE, WEBHOOKS, dead_queue, retry_queue, work_queue
from tasks.webhooks import TASK, WebhookMessage, webhook_message


def publish_pending_webhooks(ledger: Ledger, publisher: "WebhookPublisher") -> None:
    """Publish the webhook of every settled job that waits for it. Raises LedgerUnavailable, NotPublished: whoever comes
    next goes on."""
    for job in ledger.jobs.pending_webhooks():
        publisher.publish(webhook_message(job))
        ledger.jobs.mark_webhook_published(job.id)


class WebhookPublisher:
    """Publishes webhooks with confirms. `timeout` is the seconds a call may take; each raises a NotPublished."""

    def __init__(self, app: Celery, timeout: float) -> None:
        self._app = app
        self._pool = ConnectionPool(app, timeout)

    def publish(self, message: WebhookMessage) -> None:
        """To be delivered now."""
        self._send(message, EXCHANGE, work_queue(WEBHOOKS), {})

    def publish_delayed(self, message: WebhookMessage, seconds: float) -> None:
        """To be delivered after a pause."""
        self._send(message, EXCHANGE, retry_queue(WEBHOOKS, seconds), {})

    def dead_letter(self, message: WebhookMessage, reason: str) -> None:
        """To be delivered when an operator says so (`bulkhead dead replay`)."""
        self._send(message, DEAD_EXCHANGE, dead_queue(WEBHOOKS), {REASON_HEADER: reason})

    def close(self) -> None:
        """Close every idle connection."""
        self._pool.close()

    def _send(self, message: WebhookMessage, exchange: Exchange, queue: Queue, headers: dict[str, Any]) -> None:
        celery = self._app.amqp.create_task_message(
            message.id, TASK, (), message.model_dump(mode="json"), ignore_result=True
        )

        def send(line: PublisherConnection, timeout: float) -> None:
            line.producer.publish(
                celery.body,
                exchange=exchange,
                routing_key=queue.routing_key,
                declare=[queue, work_queue(WEBHOOKS), dead_queue(WEBHOOKS)],
                serializer="json",
                headers={**celery.headers, **headers},
                **celery.properties,
                mandatory=True,
                retry=False,
                timeout=timeout,
                confirm_timeout=timeout,
            )

        self._pool.run(send)
