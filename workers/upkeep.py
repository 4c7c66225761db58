"""`upkeep.sweep`: what keeps the promise that nothing accepted is lost."""

import time
from typing import Any

from celery.utils.log import get_logger

from tasks import app, renders, topology, upkeep
from tasks.publish import NotPublished, Publisher
from workers.fence import notes
from workers.fence.bench import bench

logger = get_logger(__name__)


@app.task(name=upkeep.TASK)
def sweep(**fields: Any) -> None:
    """Carry death notes to the ledger, and publish again the jobs whose messages are gone."""
    upkeep.SweepMessage.model_validate(fields)
    tools = bench()
    notes.carry(tools.settings.var, tools.ledger)
    publisher = Publisher(app, tools.settings.publish_timeout)
    try:
        waiting = publisher.waiting(topology.RENDER)
        overdue = tools.ledger.jobs.overdue(time.time(), patience=tools.settings.republish_after, waiting=waiting)
        for job in overdue:
            publisher.publish(renders.TASK, job.id, renders.message_of(job).model_dump(mode="json"))
            tools.ledger.jobs.published(job.id, time.time())
    except NotPublished as error:
        logger.warning("The sweep stops until the broker is back: %s", error)
    else:
        if overdue:
            logger.warning("Published %d jobs again that nobody held.", len(overdue))
    finally:
        publisher.close()
