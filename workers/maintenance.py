"""`maintenance.sweep`: what keeps the promise that nothing accepted is lost. `maintenance.retain`: what makes room again.

`maintenance.request_rotation` asks for the next rotation of ticket keys when it is due.
"""

import time
from dataclasses import asdict
from typing import Any
from uuid import uuid4

from celery.utils.log import get_logger
from pydantic import ValidationError

from tasks import app, maintenance, renders, tickets
from tasks.jobs import Job, LedgerError
from tasks.jobs.retention import remove_expired
from tasks.jobs.webhook_outbox import WebhookPublisher, publish_pending_webhooks
from tasks.messaging import topology
from tasks.messaging.publisher import Publisher, PublishError
from tasks.storage import StoreError
from workers.crash import crash_reports
from workers.runtime.context import WorkerContext, worker_context

logger = get_logger(__name__)

# Seconds after which an unfinished object of the store has no writer any more: longer than any upload or render.
UNFINISHED_OBJECT_MAX_AGE = 24 * 3600.0


@app.task(name=maintenance.SWEEP_TASK)
def sweep(**fields: Any) -> None:
    """Carry death notes to the ledger, publish lost messages again, announce ends, clear what killed writers left."""
    maintenance.MaintenanceMessage.model_validate(fields)
    tools = worker_context()
    publisher = Publisher(app, tools.settings.publish_timeout)
    webhooks = WebhookPublisher(app, tools.settings.publish_timeout)
    try:
        tools.store.remove_abandoned(UNFINISHED_OBJECT_MAX_AGE)
        crash_reports.flush(tools.settings.var, tools.ledger)
        overdue = [job for lane in topology.RENDER_QUEUES for job in _stale_jobs(tools, publisher, lane)]
        for job in (*overdue, *_next_fair_batch(tools)):
            _republish(tools, publisher, job)
        publish_pending_webhooks(tools.ledger, webhooks)
    except (PublishError, LedgerError, StoreError) as error:
        logger.warning("The sweep stops, the next one goes on: %s", error)
    else:
        if overdue:
            logger.warning("Published %d jobs again that nobody held.", len(overdue))
    finally:
        publisher.close()
        webhooks.close()


@app.task(name=maintenance.RETAIN_TASK)
def apply_retention(**fields: Any) -> None:
    """Remove jobs, outputs and drawings that are older than the settings say."""
    maintenance.MaintenanceMessage.model_validate(fields)
    tools = worker_context()
    try:
        removed = remove_expired(tools.ledger, tools.store, tools.settings, time.time())
    except (LedgerError, StoreError) as error:
        logger.warning("Retention stops, the next round goes on: %s", error)
    else:
        logger.info("Removed %(jobs)d jobs, %(outputs)d outputs and %(sources)d drawings.", asdict(removed))


@app.task(name=tickets.REQUEST_TASK)
def request_rotation(**fields: Any) -> None:
    """Publish the next rotation if it is due. Asked again after a lease, should nothing have come of it."""
    maintenance.MaintenanceMessage.model_validate(fields)
    tools = worker_context()
    publisher = Publisher(app, tools.settings.publish_timeout)
    interval, patience = tools.settings.tickets_interval, tools.settings.tickets_lease
    try:
        if row := tools.ledger.rotations.request_if_due(time.time(), interval=interval, retry_after=patience):
            message = tickets.RotateMessage(generation=row.generation + 1, fencing_token=row.fencing_token)
            publisher.publish(tickets.TASK, str(uuid4()), message.model_dump())
    except (PublishError, LedgerError) as error:
        logger.warning("No rotation of ticket keys is asked for, the next look tries again: %s", error)
    finally:
        publisher.close()


def _stale_jobs(context: WorkerContext, publisher: Publisher, queue: str) -> list[Job]:
    waiting = publisher.queue_depth(queue)
    patience = context.settings.republish_after
    in_turn = context.settings.tenant_max_queued is not None
    return context.ledger.jobs.stale(
        time.time(), republish_after=patience, queue_depth=waiting, queue=queue, fair=in_turn
    )


def _next_fair_batch(context: WorkerContext) -> list[Job]:
    """Jobs that the intake held back for the sake of other tenants, and whose turn it is."""
    window = context.settings.tenant_max_queued
    if window is None:
        return []
    return [
        job for lane in topology.RENDER_QUEUES for job in context.ledger.jobs.next_fair_batch(lane, max_queued=window)
    ]


def _republish(context: WorkerContext, publisher: Publisher, job: Job) -> None:
    try:
        message = renders.render_message(job)
    except ValidationError as error:  # accepted by another version; it must not stop the sweep at every turn
        detail = "This version cannot render what was asked for. Send it again."
        logger.error("Job %s is buried: %s", job.id, error)
        context.ledger.jobs.mark_dead(job.id, time.time(), error={"code": "unknown-options", "detail": detail})
    else:
        publisher.publish(renders.TASK, job.id, message.model_dump(mode="json"), queue=job.queue)
        context.ledger.jobs.mark_published(job.id, time.time())
