"""Monitors the nodes continuously, and pushes the fleet's keyring to nodes that booted or came back.

A node that generated its own keyring is caught up at once. A node that is behind may be in the middle of a rotation, so
it is caught up only if it is still behind at the next check.
"""

import asyncio
import logging
from collections.abc import Callable

from tasks.jobs.rotations import RotationInProgress, Rotations
from tasks.settings import Settings
from tasks.utils.retry import Backoff
from workers.tickets.controller import FleetController
from workers.tickets.metrics import TicketMetrics
from workers.tickets.rotation import RotationRequest, fleet_keyring, missing_keys
from workers.tickets.rotator import Rotator, RunReport, StaleToken

logger = logging.getLogger(__name__)

# Between attempts to catch up, in seconds.
BACKOFF = Backoff(initial=2.0, maximum=60.0)

# Intervals without a rotation after which an error is logged.
ALARM_INTERVALS = 2


class FleetMonitor:
    """Keeps `metrics` up to date. `clock` is monotonic, in seconds."""

    def __init__(
        self, settings: Settings, rotations: Rotations, metrics: TicketMetrics, clock: Callable[[], float]
    ) -> None:
        self._settings, self._rotations, self._metrics, self._clock = settings, rotations, metrics, clock
        self._behind: set[str] = set()
        self._failures, self._not_before = 0, 0.0
        self._has_alarmed = False

    async def run(self) -> None:
        """Check until cancelled. Reloads the inventory when it changes."""
        while True:
            controller = FleetController(self._settings, self._rotations)
            logger.info("Monitoring %d nodes.", len(controller.inventory.nodes))
            async with controller.rotator() as rotator:
                while controller.is_current():
                    await self.check(controller, rotator)
                    await asyncio.sleep(self._settings.tickets_watch_interval)

    async def check(self, controller: FleetController, rotator: Rotator) -> None:
        """Check once, and catch up nodes if necessary."""
        report = await rotator.status()
        self._metrics.observe_status(report)
        self._check_key_age(report)
        if self._needs_catch_up(report) and self._clock() >= self._not_before:
            await self._catch_up(controller, rotator)

    def _needs_catch_up(self, report: RunReport) -> bool:
        keyring = fleet_keyring(report.statuses)
        if keyring is None:
            return bool(report.statuses)
        behind = {node for node, status in report.statuses.items() if missing_keys(status, keyring)}
        still_behind, self._behind = behind & self._behind, behind
        return bool(still_behind) or any(report.statuses[node].generation == 0 for node in behind)

    async def _catch_up(self, controller: FleetController, rotator: Rotator) -> None:
        try:
            report = await controller.run_with(rotator, RotationRequest())
        except (RotationInProgress, StaleToken) as error:
            logger.info("Another rotator is running: %s", error)
            return
        self._metrics.observe_run(report.result)
        self._metrics.observe_status(report)
        if report.is_refused:
            logger.error("%s", report.reason)
            self._failures += 1
            self._not_before = self._clock() + BACKOFF.delay(self._failures)
        else:
            logger.info("Generation %d: %s in %.2f s.", report.generation, report.result, report.seconds)
            self._failures = 0

    def _check_key_age(self, report: RunReport) -> None:
        """Log an error, once, if no key has been pushed for long."""
        limit = ALARM_INTERVALS * self._settings.tickets_interval
        ages = [status.key_age for status in report.statuses.values() if status.key_age is not None]
        is_overdue = bool(ages) and min(ages) > limit
        if is_overdue and not self._has_alarmed:
            logger.error(
                "No ticket key was pushed for %.0f s, two intervals. Check the scheduler, the broker and the worker of "
                "the queue tickets.",
                min(ages),
            )
        self._has_alarmed = is_overdue
