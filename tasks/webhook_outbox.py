"""The webhook outbox: webhooks of finished jobs are published from the ledger, so that none is forgotten."""

import json
from datetime import UTC, datetime
from uuid import UUID, uuid5

from tasks.jobs import Job, Ledger
from tasks.messaging.dead_letters import REASON_HEADER
from tasks.messaging.publisher import ConfirmedPublisher
from tasks.messaging.topology import DEAD_EXCHANGE, EXCHANGE, WEBHOOKS, dead_queue, retry_queue, work_queue
from tasks.webhooks import TASK, WebhookMessage

# Namespace of webhook ids (UUID 5): the same end of a job always has the same id.
WEBHOOK_ID_NAMESPACE = UUID("6f3fb1f0-5a0c-4b52-9a73-0d3f4d2d6c58")


def publish_pending_webhooks(ledger: Ledger, publisher: "WebhookPublisher") -> None:
    """Publish the webhook of every finished job that has one pending.

    Raises LedgerUnavailable or PublishError; the next call continues where this one stopped.
    """
    for job in ledger.jobs.pending_webhooks():
        publisher.publish(webhook_message(job))
        ledger.jobs.mark_webhook_published(job.id)


def webhook_message(job: Job) -> WebhookMessage:
    """The webhook of a finished job that has one."""
    assert job.webhook is not None  # noqa: S101 -- the caller has checked
    finished = job.finished_at or job.updated_at
    event = {
        "type": f"render.{job.state}",
        "timestamp": datetime.fromtimestamp(finished, UTC).isoformat(timespec="milliseconds"),
        "data": {"id": job.id, "state": job.state, "filename": job.filename, "error": job.error},
    }
    return WebhookMessage(
        id=str(uuid5(WEBHOOK_ID_NAMESPACE, f"{job.id} {job.state} {finished!r}")),
        tenant=job.tenant,
        url=job.webhook,
        body=json.dumps(event, ensure_ascii=False, separators=(",", ":")),
        traceparent=job.traceparent,
    )


class WebhookPublisher(ConfirmedPublisher):
    """Publishes webhooks for delivery now, after a delay, or not at all."""

    def publish(self, message: WebhookMessage) -> None:
        """Publish a webhook for immediate delivery."""
        queue = work_queue(WEBHOOKS)
        self._publish_task(
            TASK, message.id, message.model_dump(mode="json"), EXCHANGE, queue, declare=[queue, dead_queue(WEBHOOKS)]
        )

    def publish_delayed(self, message: WebhookMessage, seconds: float) -> None:
        """Publish a webhook for delivery after a delay."""
        queue = retry_queue(WEBHOOKS, seconds)
        declare = [queue, work_queue(WEBHOOKS), dead_queue(WEBHOOKS)]
        self._publish_task(TASK, message.id, message.model_dump(mode="json"), EXCHANGE, queue, declare=declare)

    def dead_letter(self, message: WebhookMessage, reason: str) -> None:
        """Publish a webhook as a dead letter, for an operator to replay (`bulkhead dead replay`)."""
        queue = dead_queue(WEBHOOKS)
        self._publish_task(
            TASK,
            message.id,
            message.model_dump(mode="json"),
            DEAD_EXCHANGE,
            queue,
            declare=[queue, work_queue(WEBHOOKS)],
            headers={REASON_HEADER: reason},
        )
