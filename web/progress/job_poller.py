"""Looks at the ledger for everybody who watches a job: one query every other second, however many watch.

Workers tell the states of jobs themselves; this mends what was told while nobody could hear it, or by nobody.
"""

from __future__ import annotations

import asyncio
import logging

from tasks.jobs import LedgerError
from web.dependencies import Services

POLL_INTERVAL = 2.0  # seconds
BATCH_SIZE = 500  # jobs a query

logger = logging.getLogger(__name__)


async def poll_jobs(house: Services) -> None:
    """Look again and again, until cancelled."""
    while True:
        await asyncio.sleep(POLL_INTERVAL)
        try:
            await poll_once(house)
        except LedgerError as error:
            logger.info("Watchers hear of no change: %s", error)


async def poll_once(house: Services) -> None:
    """Tell watchers where their jobs are, as far as they were told otherwise. Raises LedgerUnavailable."""
    watched = house.progress_hub.watched_jobs()
    for start in range(0, len(watched), BATCH_SIZE):
        for place in await house.run_read(house.ledger.jobs.find_states, watched[start : start + BATCH_SIZE]):
            house.progress_hub.reconcile(*place)
