"""`upkeep.sweep`: what keeps the promise that nothing accepted is lost. `upkeep.retain`: what makes room again.

`upkeep.tickets` asks for the next rotation of ticket keys when it is due.
"""

import time
from dataclasses import asdict
from typing import Any
from uuid import uuid4

from celery.utils.log import get_logger
from pydantic import ValidationError

from tasks import app, maintenance, renders, tickets
from tasks.jobs import Job, LedgerUnavailable
from tasks.jobs.retention import retain
from tasks.jobs.webhook_outbox import WebhookPublisher, announce
from tasks.messaging import topology
from tasks.messaging.publisher import NotPublished, Publisher
from tasks.storage import StoreError
from workers.crash import crash_reports
from workers.runtime.context import Bench, bench

logger = get_logger(__name__)

# Seconds after which an unfinished object of the store has no writer any more: longer than any upload or render.
STORE_LEFTOVERS = 24 * 3600.0


@app.task(name=maintenance.TASK)
def sweep(**fields: Any) -> None:
    """Carry death notes to the ledger, publish lost messages again, announce ends, clear what killed writers left."""
    maintenance.SweepMessage.model_validate(fields)
    tools = bench()
    publisher = Publisher(app, tools.settings.publish_timeout)
    webhooks = WebhookPublisher(app, tools.settings.publish_timeout)
    try:
        tools.store.sweep(STORE_LEFTOVERS)
        crash_reports.carry(tools.settings.var, tools.ledger)
        overdue = [job for lane in topology.LANES for job in _overdue(tools, publisher, lane)]
        for job in (*overdue, *_next_in_turn(tools)):
            _publish_again(tools, publisher, job)
        announce(tools.ledger, webhooks)
    except (NotPublished, LedgerUnavailable, StoreError) as error:
        logger.warning("The sweep stops, the next one goes on: %s", error)
    else:
        if overdue:
            logger.warning("Published %d jobs again that nobody held.", len(overdue))
    finally:
        publisher.close()
        webhooks.close()


@app.task(name=maintenance.RETAIN_TASK)
def remove_what_is_old(**fields: Any) -> None:
    """Remove jobs, outputs and drawings that are older than the settings say."""
    maintenance.SweepMessage.model_validate(fields)
    tools = bench()
    try:
        removed = retain(tools.ledger, tools.store, tools.settings, time.time())
    except (LedgerUnavailable, StoreError) as error:
        logger.warning("Retention stops, the next round goes on: %s", error)
    else:
        logger.info("Removed %(jobs)d jobs, %(outputs)d outputs and %(sources)d drawings.", asdict(removed))


@app.task(name=tickets.TURN_TASK)
def ask_for_rotation(**fields: Any) -> None:
    """Publish the next rotation if it is due. Asked again after a lease, should nothing have come of it."""
    maintenance.SweepMessage.model_validate(fields)
    tools = bench()
    publisher = Publisher(app, tools.settings.publish_timeout)
    interval, patience = tools.settings.tickets_interval, tools.settings.tickets_lease
    try:
        if row := tools.ledger.rotations.due(time.time(), interval=interval, patience=patience):
            message = tickets.RotateMessage(generation=row.generation + 1, token=row.token)
            publisher.publish(tickets.TASK, str(uuid4()), message.model_dump())
    except (NotPublished, LedgerUnavailable) as error:
        logger.warning("No rotation of ticket keys is asked for, the next look tries again: %s", error)
    finally:
        publisher.close()


def _overdue(tools: Bench, publisher: Publisher, lane: str) -> list[Job]:
    waiting = publisher.waiting(lane)
    patience = tools.settings.republish_after
    in_turn = tools.settings.tenant_window is not None
    return tools.ledger.jobs.overdue(time.time(), patience=patience, waiting=waiting, queue=lane, in_turn=in_turn)


def _next_in_turn(tools: Bench) -> list[Job]:
    """Jobs that the intake held back for the sake of other tenants, and whose turn it is."""
    window = tools.settings.tenant_window
    if window is None:
        return []
    return [job for lane in topology.LANES for job in tools.ledger.jobs.next_in_turn(lane, window=window)]


def _publish_again(tools: Bench, publisher: Publisher, job: Job) -> None:
    try:
        message = renders.message_of(job)
    except ValidationError as error:  # accepted by another version; it must not stop the sweep at every turn
        detail = "This version cannot render what was asked for. Send it again."
        logger.error("Job %s is buried: %s", job.id, error)
        tools.ledger.jobs.bury(job.id, time.time(), error={"code": "unknown-options", "detail": detail})
    else:
        publisher.publish(renders.TASK, job.id, message.model_dump(mode="json"), queue=job.queue)
        tools.ledger.jobs.published(job.id, time.time())
