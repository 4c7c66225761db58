"""The jump host's side put together from settings: roster, connections, audit, and tokens from the ledger.

Where the ledger does not answer, the nodes' own tokens serve: one more than the greatest that any of them knows.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tasks.jobs import LedgerUnavailable
from tasks.jobs.rotations import Rotations
from tasks.settings import Settings
from workers.runtime.lease_owner import is_gone, me
from workers.tickets.audit import Audit
from workers.tickets.inventory import Roster
from workers.tickets.rotation import View, Wish, fleet
from workers.tickets.rotator import Fenced, Report, Rotator
from workers.tickets.ssh import Connection, Way

logger = logging.getLogger(__name__)

SOCKETS = Path("tickets/ssh")


class Office:
    """Runs over the fleet of these settings, one after the other. `rotations` is the ledger's book."""

    def __init__(self, settings: Settings, rotations: Rotations, roster: Roster | None = None) -> None:
        self._settings = settings
        self._rotations = rotations
        self._holder = me()
        self.roster = roster or Roster.load(settings.var)

    async def look(self) -> Report:
        """What every node is like."""
        async with self.rotator() as rotator:
            return await rotator.look()

    async def run(self, wish: Wish, *, least: int = 0) -> Report:
        """Do what is wished, with a token greater than `least`. Raises Fenced, Busy."""
        async with self.rotator() as rotator:
            return await self.run_with(rotator, wish, least=least)

    async def run_with(self, rotator: Rotator, wish: Wish, *, least: int = 0) -> Report:
        """The same with a rotator that is there."""
        tokens = _Tokens(self._rotations, self._holder, self._settings.tickets_lease, least)
        try:
            report = await rotator.run(wish, tokens)
        except Fenced as error:
            tokens.settle("fenced")
            raise error
        tokens.settle(report.result, report)
        return report

    async def forget(self, node: str) -> Report:
        """Let a node take a ring of its own, whether or not it is in the roster. Raises Fenced, Busy."""
        async with self.rotator(Roster(nodes={node: "-:0"})) as rotator:
            tokens = _Tokens(self._rotations, self._holder, self._settings.tickets_lease, 0)
            report = await rotator.forget(node, tokens)
            tokens.settle("forgotten")
            return report

    def is_current(self) -> bool:
        """Whether the roster is still the one of the file. Raises BadRoster."""
        return self.roster == Roster.load(self._settings.var)

    @asynccontextmanager
    async def rotator(self, roster: Roster | None = None) -> AsyncIterator[Rotator]:
        """A rotator with connections, which are made when they are needed."""
        chosen = self._settings
        way = Way(chosen.tickets_ssh_config, chosen.tickets_timeout, chosen.var / SOCKETS, chosen.tickets_persist)
        connections = {node: Connection(node, way) for node in (roster or self.roster).nodes}
        try:
            yield Rotator(connections, Audit(chosen.var, self._holder), self._holder)
        finally:
            await asyncio.gather(*(connection.close() for connection in connections.values()))


class _Tokens:
    """Asked for a fencing token: the ledger's, or one more than the nodes' where it does not answer."""

    def __init__(self, rotations: Rotations, holder: str, lease: float, least: int) -> None:
        self._rotations, self._holder, self._lease, self._least = rotations, holder, lease, least
        self._token: int | None = None

    def __call__(self, least: int) -> int:
        least = max(least, self._least)
        lease = {"now": time.time(), "lease": self._lease}
        try:
            self._token = self._rotations.claim(self._holder, **lease, least=least, is_gone=is_gone)
        except LedgerUnavailable as error:
            logger.warning("Rotating without the ledger, by the tokens that nodes keep: %s", error)
            return least + 1
        return self._token

    def settle(self, result: str, report: Report | None = None) -> None:
        """Tell the ledger what became of it, if it gave the token."""
        if self._token is None:
            return
        views = report.views if report else {}
        ring = fleet(views)
        generation = ring.generation if ring else 0
        try:
            rotated_at = _rotated_at(views, generation)
            self._rotations.settle(self._token, generation=generation, rotated_at=rotated_at, result=result)
        except LedgerUnavailable as error:
            logger.warning("The ledger does not know of this rotation yet: %s", error)


def _rotated_at(views: Mapping[str, View], generation: int) -> float | None:
    """When the ring came to the first of its nodes."""
    ages = [view.age for view in views.values() if view.generation == generation > 0 and view.age is not None]
    return time.time() - max(ages) if ages else None
