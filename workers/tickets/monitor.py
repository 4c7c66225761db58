"""Looks at the nodes all the time, and brings the fleet's ring to one that has booted or come back.

A node with a ring of its own is helped at once. One that is merely behind is helped when it still is at the next look:
it may be in the middle of a rotation.
"""

import asyncio
import logging
from collections.abc import Callable

from tasks.jobs.rotations import RotationInProgress, Rotations
from tasks.settings import Settings
from workers.tickets.controller import FleetController
from workers.tickets.metrics import TicketMetrics
from workers.tickets.rotation import RotationRequest, fleet_keyring, missing_keys
from workers.tickets.rotator import Rotator, RunReport, StaleToken

logger = logging.getLogger(__name__)

# Seconds before what did not work is tried again, doubled each time.
MIN_RETRY_DELAY = 2.0
MAX_RETRY_DELAY = 60.0

# Intervals without a rotation after which there is an alarm.
ALARM_INTERVALS = 2


class FleetMonitor:
    """`metrics` are kept up to date. `clock` is monotonic, in seconds."""

    def __init__(
        self, settings: Settings, rotations: Rotations, metrics: TicketMetrics, clock: Callable[[], float]
    ) -> None:
        self._settings, self._rotations, self._metrics, self._clock = settings, rotations, metrics, clock
        self._behind: set[str] = set()
        self._retry_delay, self._not_before = MIN_RETRY_DELAY, 0.0
        self._has_alarmed = False

    async def run(self) -> None:
        """Look until cancelled. A roster that changes is read anew."""
        while True:
            office = FleetController(self._settings, self._rotations)
            logger.info("Watching %d nodes.", len(office.inventory.nodes))
            async with office.rotator() as rotator:
                while office.is_current():
                    await self.check(office, rotator)
                    await asyncio.sleep(self._settings.tickets_watch_interval)

    async def check(self, controller: FleetController, rotator: Rotator) -> None:
        """Look once, and do what must be done."""
        report = await rotator.status()
        self._metrics.observe_status(report)
        self._check_key_age(report)
        if self._needs_catch_up(report) and self._clock() >= self._not_before:
            await self._catch_up(controller, rotator)

    def _needs_catch_up(self, report: RunReport) -> bool:
        ring = fleet_keyring(report.statuses)
        if ring is None:
            return bool(report.statuses)
        behind = {node for node, view in report.statuses.items() if missing_keys(view, ring)}
        again, self._behind = behind & self._behind, behind
        return bool(again) or any(report.statuses[node].generation == 0 for node in behind)

    async def _catch_up(self, controller: FleetController, rotator: Rotator) -> None:
        try:
            report = await controller.run_with(rotator, RotationRequest())
        except (RotationInProgress, StaleToken) as error:
            logger.info("Somebody else is at it: %s", error)
            return
        self._metrics.observe_run(report.result)
        self._metrics.observe_status(report)
        if report.is_refused:
            logger.error("%s", report.reason)
            self._not_before = self._clock() + self._retry_delay
            self._retry_delay = min(2 * self._retry_delay, MAX_RETRY_DELAY)
        else:
            logger.info("Generation %d: %s in %.2f s.", report.generation, report.result, report.seconds)
            self._retry_delay = MIN_RETRY_DELAY

    def _check_key_age(self, report: RunReport) -> None:
        """Say once that no key comes any more."""
        limit = ALARM_INTERVALS * self._settings.tickets_interval
        ages = [view.key_age for view in report.statuses.values() if view.key_age is not None]
        if (late := bool(ages) and min(ages) > limit) and not self._has_alarmed:
            logger.error("No ticket key came for %.0f s, two intervals. Do clock, broker and workers run?", min(ages))
        self._has_alarmed = late
