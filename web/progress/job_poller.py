"""Polls the ledger for the jobs that are watched: one query every two seconds, however many viewers there are.

Workers publish the states of jobs themselves. Polling makes up for lost messages and for workers that died.
"""

from __future__ import annotations

import asyncio
import logging

from tasks.jobs import LedgerError
from web.dependencies import Services

POLL_INTERVAL = 2.0  # seconds
BATCH_SIZE = 500  # jobs per query

logger = logging.getLogger(__name__)


async def poll_jobs(services: Services) -> None:
    """Poll until cancelled."""
    while True:
        await asyncio.sleep(POLL_INTERVAL)
        try:
            await poll_once(services)
        except LedgerError as error:
            logger.info("Cannot poll the watched jobs: %s", error)


async def poll_once(services: Services) -> None:
    """Publish the states that differ from the last published ones. Raises LedgerError."""
    watched = services.progress_hub.watched_jobs()
    for start in range(0, len(watched), BATCH_SIZE):
        for state in await services.run_read(services.ledger.jobs.find_states, watched[start : start + BATCH_SIZE]):
            services.progress_hub.reconcile(*state)
