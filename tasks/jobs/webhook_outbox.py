"""The webhook outbox: the ledger records which webhooks are pending, and they are published from there."""

from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from tasks.jobs import Ledger
from tasks.messaging.connections import ConnectionPool, PublisherConnection
from tasks.messaging.dead_letters import REASON_HEADER
from tasks.messaging.topology import DEAD_EXCHANGE, EXCHANGE, WEBHOOKS, dead_queue, retry_queue, work_queue
from tasks.webhooks import TASK, WebhookMessage, webhook_message


def publish_pending_webhooks(ledger: Ledger, publisher: "WebhookPublisher") -> None:
    """Publish the pending webhooks of finished jobs. Raises LedgerUnavailable and PublishError; the next call
    continues."""
    for job in ledger.jobs.pending_webhooks():
        publisher.publish(webhook_message(job))
        ledger.jobs.mark_webhook_published(job.id)


class WebhookPublisher:
    """Publishes webhooks with publisher confirms. Each call takes at most `timeout` seconds and raises PublishError."""

    def __init__(self, app: Celery, timeout: float) -> None:
        self._app = app
        self._pool = ConnectionPool(app, timeout)

    def publish(self, message: WebhookMessage) -> None:
        """Publish for immediate delivery."""
        self._send(message, EXCHANGE, work_queue(WEBHOOKS), {})

    def publish_delayed(self, message: WebhookMessage, seconds: float) -> None:
        """Publish for delivery after a delay."""
        self._send(message, EXCHANGE, retry_queue(WEBHOOKS, seconds), {})

    def dead_letter(self, message: WebhookMessage, reason: str) -> None:
        """Publish to the dead letters, for delivery by `bulkhead dead replay`."""
        self._send(message, DEAD_EXCHANGE, dead_queue(WEBHOOKS), {REASON_HEADER: reason})

    def close(self) -> None:
        """Close every idle connection."""
        self._pool.close()

    def _send(self, message: WebhookMessage, exchange: Exchange, queue: Queue, headers: dict[str, Any]) -> None:
        task = self._app.amqp.create_task_message(
            message.id, TASK, (), message.model_dump(mode="json"), ignore_result=True
        )

        def send(connection: PublisherConnection, timeout: float) -> None:
            connection.producer.publish(
                task.body,
                exchange=exchange,
                routing_key=queue.routing_key,
                declare=[queue, work_queue(WEBHOOKS), dead_queue(WEBHOOKS)],
                serializer="json",
                headers={**task.headers, **headers},
                **task.properties,
                mandatory=True,
                retry=False,
                timeout=timeout,
                confirm_timeout=timeout,
            )

        self._pool.run(send)
