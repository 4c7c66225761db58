"""The task `tickets.rotate`. It runs on the jump host, the only host with an SSH key for the nodes."""

import asyncio
from typing import Any

from celery.utils.log import get_logger

from tasks import app, tickets
from tasks.jobs import LedgerError
from tasks.jobs.rotations import RotationInProgress
from workers.runtime.worker_context import worker_context
from workers.tickets.controller import FleetController
from workers.tickets.node.harden import harden_process
from workers.tickets.rotation import RotationRequest
from workers.tickets.rotator import StaleToken

logger = get_logger(__name__)


@app.task(name=tickets.TASK)
def rotate(**fields: Any) -> None:
    """Rotate until the fleet has the generation of the message. A failed run is requested again at the next check."""
    message = tickets.RotateMessage.model_validate(fields)
    harden_process()
    context = worker_context()
    rotations = context.ledger.rotations
    try:
        if rotations.find().generation >= message.generation:
            logger.info("Generation %d is already reached.", message.generation)
            return
    except LedgerError as error:
        logger.warning("The ledger is unavailable; using the status of the nodes alone: %s", error)
    request = RotationRequest(message.generation, min_age=context.settings.tickets_lifetime)
    try:
        report = asyncio.run(FleetController(context.settings, rotations).run(request, min_token=message.fencing_token))
    except (RotationInProgress, StaleToken) as error:
        logger.warning("Not rotated. %s", error)
        return
    logger.info("Generation %d: %s in %.2f s. %s", report.generation, report.result, report.seconds, report.reason)
    for node, reason in {**report.unreachable, **report.failed}.items():
        logger.warning("%s is behind: %s", node, reason)
