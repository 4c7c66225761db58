"""Looks at the nodes all the time, and brings the fleet's ring to one that has booted or come back.

A node with a ring of its own is helped at once. One that is merely behind is helped when it still is at the next look:
it may be in the middle of a rotation.
"""

import asyncio
import logging
from collections.abc import Callable

from tasks.jobs.rotations import Busy, Rotations
from tasks.settings import Settings
from workers.tickets.controller import Office
from workers.tickets.metrics import TicketMetrics
from workers.tickets.rotation import Wish, fleet, lacking
from workers.tickets.rotator import Fenced, Report, Rotator

logger = logging.getLogger(__name__)

# Seconds before what did not work is tried again, doubled each time.
FIRST_PAUSE = 2.0
LONGEST_PAUSE = 60.0

# Intervals without a rotation after which there is an alarm.
ALARM = 2


class Watch:
    """`metrics` are kept up to date. `clock` is monotonic, in seconds."""

    def __init__(
        self, settings: Settings, rotations: Rotations, metrics: TicketMetrics, clock: Callable[[], float]
    ) -> None:
        self._settings, self._rotations, self._metrics, self._clock = settings, rotations, metrics, clock
        self._behind: set[str] = set()
        self._pause, self._not_before = FIRST_PAUSE, 0.0
        self._alarmed = False

    async def run(self) -> None:
        """Look until cancelled. A roster that changes is read anew."""
        while True:
            office = Office(self._settings, self._rotations)
            logger.info("Watching %d nodes.", len(office.roster.nodes))
            async with office.rotator() as rotator:
                while office.is_current():
                    await self.look(office, rotator)
                    await asyncio.sleep(self._settings.tickets_watch)

    async def look(self, office: Office, rotator: Rotator) -> None:
        """Look once, and do what must be done."""
        report = await rotator.look()
        self._metrics.looked(report)
        self._alarm(report)
        if self._is_wanted(report) and self._clock() >= self._not_before:
            await self._catch_up(office, rotator)

    def _is_wanted(self, report: Report) -> bool:
        ring = fleet(report.views)
        if ring is None:
            return bool(report.views)
        behind = {node for node, view in report.views.items() if lacking(view, ring)}
        again, self._behind = behind & self._behind, behind
        return bool(again) or any(report.views[node].generation == 0 for node in behind)

    async def _catch_up(self, office: Office, rotator: Rotator) -> None:
        try:
            report = await office.run_with(rotator, Wish())
        except (Busy, Fenced) as error:
            logger.info("Somebody else is at it: %s", error)
            return
        self._metrics.ran(report.result)
        self._metrics.looked(report)
        if report.refused:
            logger.error("%s", report.why)
            self._not_before = self._clock() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        else:
            logger.info("Generation %d: %s in %.2f s.", report.generation, report.result, report.seconds)
            self._pause = FIRST_PAUSE

    def _alarm(self, report: Report) -> None:
        """Say once that no key comes any more."""
        limit = ALARM * self._settings.tickets_interval
        ages = [view.age for view in report.views.values() if view.age is not None]
        if (late := bool(ages) and min(ages) > limit) and not self._alarmed:
            logger.error("No ticket key came for %.0f s, two intervals. Do clock, broker and workers run?", min(ages))
        self._alarmed = late
