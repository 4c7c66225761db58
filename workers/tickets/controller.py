"""The jump host's side, assembled from settings: inventory, connections, audit log, and fencing tokens of the ledger.

If the ledger does not answer, the nodes' own tokens are used: one more than the greatest that any node knows.
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
from workers.sandbox.process_identity import current_owner, is_gone
from workers.tickets.audit_log import AuditLog
from workers.tickets.inventory import Inventory
from workers.tickets.rotation import NodeStatus, RotationRequest, fleet_keyring
from workers.tickets.rotator import Rotator, RunReport, StaleToken
from workers.tickets.ssh import NodeConnection, SshOptions

logger = logging.getLogger(__name__)

SSH_SOCKETS = Path("tickets/ssh")


class FleetController:
    """Runs over the fleet of these settings, one at a time. `rotations` is the ledger's table of rotations."""

    def __init__(self, settings: Settings, rotations: Rotations, inventory: Inventory | None = None) -> None:
        self._settings = settings
        self._rotations = rotations
        self._owner = current_owner()
        self.inventory = inventory or Inventory.load(settings.var)

    async def status(self) -> RunReport:
        """The status of every node."""
        async with self.rotator() as rotator:
            return await rotator.status()

    async def run(self, request: RotationRequest, *, min_token: int = 0) -> RunReport:
        """Carry out a request with a token greater than `min_token`. Raises StaleToken, RotationInProgress."""
        async with self.rotator() as rotator:
            return await self.run_with(rotator, request, min_token=min_token)

    async def run_with(self, rotator: Rotator, request: RotationRequest, *, min_token: int = 0) -> RunReport:
        """Like `run`, with an existing rotator."""
        tokens = _TokenIssuer(self._rotations, self._owner, self._settings.tickets_lease, min_token)
        try:
            report = await rotator.run(request, tokens)
        except StaleToken:
            tokens.record_result("stale-token")
            raise
        tokens.record_result(report.result, report)
        return report

    async def forget(self, node: str) -> RunReport:
        """Make a node forget the fleet's keys, even if it is not in the inventory.

        Raises StaleToken, RotationInProgress.
        """
        async with self.rotator(Inventory(nodes={node: "-:0"})) as rotator:
            tokens = _TokenIssuer(self._rotations, self._owner, self._settings.tickets_lease, 0)
            report = await rotator.forget(node, tokens)
            tokens.record_result("forgotten")
            return report

    def is_current(self) -> bool:
        """Whether the inventory equals that of the file. Raises InvalidInventory."""
        return self.inventory == Inventory.load(self._settings.var)

    @asynccontextmanager
    async def rotator(self, inventory: Inventory | None = None) -> AsyncIterator[Rotator]:
        """A rotator. Its connections are opened when they are first used, and closed at the end of the block."""
        settings = self._settings
        options = SshOptions(
            settings.tickets_ssh_config,
            settings.tickets_timeout,
            settings.var / SSH_SOCKETS,
            settings.tickets_ssh_persist,
        )
        connections = {node: NodeConnection(node, options) for node in (inventory or self.inventory).nodes}
        try:
            yield Rotator(connections, AuditLog(settings.var, self._owner), self._owner)
        finally:
            await asyncio.gather(*(connection.close() for connection in connections.values()))


class _TokenIssuer:
    """Issues a fencing token from the ledger, or one more than the nodes' if the ledger does not answer."""

    def __init__(self, rotations: Rotations, owner: str, lease: float, min_token: int) -> None:
        self._rotations, self._owner, self._lease, self._min_token = rotations, owner, lease, min_token
        self._token: int | None = None

    def __call__(self, min_token: int) -> int:
        min_token = max(min_token, self._min_token)
        lease = {"now": time.time(), "lease": self._lease}
        try:
            self._token = self._rotations.claim(self._owner, **lease, min_token=min_token, is_dead=is_gone)
        except LedgerError as error:
            logger.warning("Rotating without the ledger, with the tokens that the nodes store: %s", error)
            return min_token + 1
        return self._token

    def record_result(self, result: str, report: RunReport | None = None) -> None:
        """Record the result in the ledger, if the token came from there."""
        if self._token is None:
            return
        statuses = report.statuses if report else {}
        keyring = fleet_keyring(statuses)
        generation = keyring.generation if keyring else 0
        try:
            rotated_at = _rotated_at(statuses, generation)
            self._rotations.finish(self._token, generation=generation, rotated_at=rotated_at, result=result)
        except LedgerError as error:
            logger.warning("The result of this rotation is not in the ledger yet: %s", error)


def _rotated_at(statuses: Mapping[str, NodeStatus], generation: int) -> float | None:
    """The time at which the first node received the keyring."""
    ages = [
        status.key_age
        for status in statuses.values()
        if status.generation == generation > 0 and status.key_age is not None
    ]
    return time.time() - max(ages) if ages else None
