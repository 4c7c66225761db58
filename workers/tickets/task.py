"""`tickets.rotate`: on a jump host's worker, which alone has the key to the nodes."""

import asyncio
from typing import Any

from celery.utils.log import get_logger

from tasks import app, tickets
from tasks.jobs import LedgerError
from tasks.jobs.rotations import RotationInProgress
from workers.runtime.context import worker_context
from workers.tickets.controller import FleetController
from workers.tickets.node.harden import harden_process
from workers.tickets.rotation import RotationRequest
from workers.tickets.rotator import StaleToken

logger = get_logger(__name__)


@app.task(name=tickets.TASK)
def rotate(**fields: Any) -> None:
    """Bring the fleet to the generation of the message. Whatever fails is asked for again by the next look."""
    message = tickets.RotateMessage.model_validate(fields)
    harden_process()
    tools = worker_context()
    try:
        if tools.ledger.rotations.find().generation >= message.generation:
            logger.info("Generation %d is reached already.", message.generation)
            return
    except LedgerError as error:
        logger.warning("Asking the nodes alone: %s", error)
    wish = RotationRequest(message.generation, min_age=tools.settings.tickets_lifetime)
    try:
        report = asyncio.run(
            FleetController(tools.settings, tools.ledger.rotations).run(wish, min_token=message.fencing_token)
        )
    except (RotationInProgress, StaleToken) as error:
        logger.warning("Not rotated. %s", error)
        return
    logger.info("Generation %d: %s in %.2f s. %s", report.generation, report.result, report.seconds, report.reason)
    for node, why in {**report.unreachable, **report.failed}.items():
        logger.warning("%s was left behind: %s", node, why)
