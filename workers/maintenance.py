"""The maintenance tasks.

`maintenance.sweep` republishes jobs whose messages were lost, `maintenance.retain` removes expired jobs and files, and
`maintenance.request_rotation` publishes the next rotation of ticket keys when it is due.
"""

import time
from dataclasses import asdict
from typing import Any
from uuid import uuid4

from celery.utils.log import get_logger
from pydantic import ValidationError

from tasks import app, maintenance, renders, tickets
from tasks.jobs import Job, LedgerError
from tasks.jobs.messages import render_message
from tasks.jobs.retention import remove_expired
from tasks.messaging import topology
from tasks.messaging.publisher import Publisher, PublishError
from tasks.storage import StoreError
from tasks.webhook_outbox import WebhookPublisher, publish_pending_webhooks
from workers.crash import crash_reports
from workers.runtime.extensions import revocation
from workers.runtime.worker_context import WorkerContext, worker_context

logger = get_logger(__name__)

# Seconds after which an unfinished object in the store is abandoned: longer than any upload or render.
UNFINISHED_OBJECT_MAX_AGE = 24 * 3600.0


@app.task(name=maintenance.SWEEP_TASK)
def sweep(**fields: Any) -> None:
    """Flush crash reports and revocations, republish stale jobs, publish pending webhooks, and clean up the store."""
    maintenance.MaintenanceMessage.model_validate(fields)
    context = worker_context()
    publisher = Publisher(app, context.settings.publish_timeout)
    webhooks = WebhookPublisher(app, context.settings.publish_timeout)
    try:
        context.store.remove_abandoned(UNFINISHED_OBJECT_MAX_AGE)
        crash_reports.flush(context.settings.var, context.ledger)
        revocation.flush(context.settings.var, context.ledger)
        stale = [job for queue in topology.RENDER_QUEUES for job in _stale_jobs(context, publisher, queue)]
        for job in (*stale, *_next_fair_batch(context)):
            _republish(context, publisher, job)
        publish_pending_webhooks(context.ledger, webhooks)
    except (PublishError, LedgerError, StoreError) as error:
        logger.warning("Maintenance stopped early and continues in its next run: %s", error)
    else:
        if stale:
            logger.warning("Republished %d unclaimed jobs.", len(stale))
    finally:
        publisher.close()
        webhooks.close()


@app.task(name=maintenance.RETAIN_TASK)
def apply_retention(**fields: Any) -> None:
    """Remove jobs, outputs and drawings that are older than the settings allow."""
    maintenance.MaintenanceMessage.model_validate(fields)
    context = worker_context()
    try:
        removed = remove_expired(context.ledger, context.store, context.settings, time.time())
    except (LedgerError, StoreError) as error:
        logger.warning("Retention stopped early and continues in its next run: %s", error)
    else:
        logger.info("Removed %(jobs)d jobs, %(outputs)d outputs and %(sources)d drawings.", asdict(removed))


@app.task(name=tickets.REQUEST_TASK)
def request_rotation(**fields: Any) -> None:
    """Publish the next rotation if it is due, and again after the duration of a lease if it has not been done."""
    maintenance.MaintenanceMessage.model_validate(fields)
    context = worker_context()
    publisher = Publisher(app, context.settings.publish_timeout)
    interval, retry_after = context.settings.tickets_interval, context.settings.tickets_lease
    try:
        if row := context.ledger.rotations.request_if_due(time.time(), interval=interval, retry_after=retry_after):
            message = tickets.RotateMessage(generation=row.generation + 1, fencing_token=row.fencing_token)
            publisher.publish(tickets.TASK, str(uuid4()), message.model_dump())
    except (PublishError, LedgerError) as error:
        logger.warning("No rotation of ticket keys was requested; the next run tries again: %s", error)
    finally:
        publisher.close()


def _stale_jobs(context: WorkerContext, publisher: Publisher, queue: str) -> list[Job]:
    return context.ledger.jobs.stale(
        time.time(),
        republish_after=context.settings.republish_after,
        queue_depth=publisher.queue_depth(queue),
        queue=queue,
        fair=context.settings.tenant_max_queued is not None,
    )


def _next_fair_batch(context: WorkerContext) -> list[Job]:
    """Jobs held back in favour of other tenants that may be queued now."""
    max_queued = context.settings.tenant_max_queued
    if max_queued is None:
        return []
    return [
        job
        for queue in topology.RENDER_QUEUES
        for job in context.ledger.jobs.next_fair_batch(queue, max_queued=max_queued)
    ]


def _republish(context: WorkerContext, publisher: Publisher, job: Job) -> None:
    try:
        message = render_message(job)
    except ValidationError as error:  # accepted by another version: it must not stop every run
        detail = "This version does not support the options of the job. Send the drawing again."
        logger.error("Job %s is marked dead: %s", job.id, error)
        context.ledger.jobs.mark_dead(job.id, time.time(), error={"code": "unknown-options", "detail": detail})
    else:
        publisher.publish(renders.TASK, job.id, message.model_dump(mode="json"), queue=job.queue)
        context.ledger.jobs.mark_published(job.id, time.time())
