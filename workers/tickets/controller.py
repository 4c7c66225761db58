"""The jump host's side put together from settings: roster, connections, audit, and tokens from the ledger.

Where the ledger does not answer, the nodes' own tokens serve: one more than the greatest that any of them knows.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tasks.jobs import LedgerError
from tasks.jobs.rotations import Rotations
from tasks.settings import Settings
from workers.runtime.lease_owner import current_owner, is_gone
from workers.tickets.audit import AuditLog
from workers.tickets.inventory import Inventory
from workers.tickets.rotation import NodeStatus, RotationRequest, fleet_keyring
from workers.tickets.rotator import Rotator, RunReport, StaleToken
from workers.tickets.ssh import NodeConnection, SshOptions

logger = logging.getLogger(__name__)

SSH_SOCKETS = Path("tickets/ssh")


class FleetController:
    """Runs over the fleet of these settings, one after the other. `rotations` is the ledger's book."""

    def __init__(self, settings: Settings, rotations: Rotations, inventory: Inventory | None = None) -> None:
        self._settings = settings
        self._rotations = rotations
        self._owner = current_owner()
        self.inventory = inventory or Inventory.load(settings.var)

    async def status(self) -> RunReport:
        """What every node is like."""
        async with self.rotator() as rotator:
            return await rotator.status()

    async def run(self, request: RotationRequest, *, min_token: int = 0) -> RunReport:
        """Do what is wished, with a token greater than `least`. Raises Fenced, Busy."""
        async with self.rotator() as rotator:
            return await self.run_with(rotator, request, min_token=min_token)

    async def run_with(self, rotator: Rotator, request: RotationRequest, *, min_token: int = 0) -> RunReport:
        """The same with a rotator that is there."""
        tokens = _TokenIssuer(self._rotations, self._owner, self._settings.tickets_lease, min_token)
        try:
            report = await rotator.run(request, tokens)
        except StaleToken as error:
            tokens.record_result("fenced")
            raise error
        tokens.record_result(report.result, report)
        return report

    async def forget(self, node: str) -> RunReport:
        """Let a node take a ring of its own, whether or not it is in the roster. Raises Fenced, Busy."""
        async with self.rotator(Inventory(nodes={node: "-:0"})) as rotator:
            tokens = _TokenIssuer(self._rotations, self._owner, self._settings.tickets_lease, 0)
            report = await rotator.forget(node, tokens)
            tokens.record_result("forgotten")
            return report

    def is_current(self) -> bool:
        """Whether the roster is still the one of the file. Raises BadRoster."""
        return self.inventory == Inventory.load(self._settings.var)

    @asynccontextmanager
    async def rotator(self, inventory: Inventory | None = None) -> AsyncIterator[Rotator]:
        """A rotator with connections, which are made when they are needed."""
        chosen = self._settings
        way = SshOptions(
            chosen.tickets_ssh_config, chosen.tickets_timeout, chosen.var / SSH_SOCKETS, chosen.tickets_ssh_persist
        )
        connections = {node: NodeConnection(node, way) for node in (inventory or self.inventory).nodes}
        try:
            yield Rotator(connections, AuditLog(chosen.var, self._owner), self._owner)
        finally:
            await asyncio.gather(*(connection.close() for connection in connections.values()))


class _TokenIssuer:
    """Asked for a fencing token: the ledger's, or one more than the nodes' where it does not answer."""

    def __init__(self, rotations: Rotations, owner: str, lease: float, min_token: int) -> None:
        self._rotations, self._owner, self._lease, self._min_token = rotations, owner, lease, min_token
        self._token: int | None = None

    def __call__(self, min_token: int) -> int:
        min_token = max(min_token, self._min_token)
        lease = {"now": time.time(), "lease": self._lease}
        try:
            self._token = self._rotations.claim(self._owner, **lease, min_token=min_token, is_dead=is_gone)
        except LedgerError as error:
            logger.warning("Rotating without the ledger, by the tokens that nodes keep: %s", error)
            return min_token + 1
        return self._token

    def record_result(self, result: str, report: RunReport | None = None) -> None:
        """Tell the ledger what became of it, if it gave the token."""
        if self._token is None:
            return
        views = report.statuses if report else {}
        ring = fleet_keyring(views)
        generation = ring.generation if ring else 0
        try:
            rotated_at = _rotated_at(views, generation)
            self._rotations.finish(self._token, generation=generation, rotated_at=rotated_at, result=result)
        except LedgerError as error:
            logger.warning("The ledger does not know of this rotation yet: %s", error)


def _rotated_at(views: Mapping[str, NodeStatus], generation: int) -> float | None:
    """When the ring came to the first of its nodes."""
    ages = [view.key_age for view in views.values() if view.generation == generation > 0 and view.key_age is not None]
    return time.time() - max(ages) if ages else None
