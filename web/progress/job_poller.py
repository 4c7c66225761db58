"""Looks at the ledger for everybody who watches a job: one query every other second, however many watch.

Workers tell the states of jobs themselves; this mends what was told while nobody could hear it, or by nobody.
"""

from __future__ import annotations

import asyncio
import logging

from tasks.jobs import LedgerUnavailable
from web.dependencies import Services

INTERVAL = 2.0  # seconds
AT_ONCE = 500  # jobs a query

logger = logging.getLogger(__name__)


async def keep_looking(house: Services) -> None:
    """Look again and again, until cancelled."""
    while True:
        await asyncio.sleep(INTERVAL)
        try:
            await look(house)
        except LedgerUnavailable as error:
            logger.info("Watchers hear of no change: %s", error)


async def look(house: Services) -> None:
    """Tell watchers where their jobs are, as far as they were told otherwise. Raises LedgerUnavailable."""
    watched = house.watchers.watched()
    for start in range(0, len(watched), AT_ONCE):
        for place in await house.look(house.ledger.jobs.places, watched[start : start + AT_ONCE]):
            house.watchers.correct(*place)
