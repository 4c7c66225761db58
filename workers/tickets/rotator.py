"""One run over the fleet: read the status, claim the nodes, catch up, rotate. It keeps nothing between two runs.

1. The status of all nodes is requested concurrently.
2. A fencing token greater than all of theirs is issued, and every node is claimed with it: from then on a rotator with
   a smaller token can change nothing.
3. `rotation.decide` names the next step until nothing is left to do. Existing keys come from a node that has them; a
   new key is generated here and forgotten when the run ends.

If a run is killed at any time, each node has one of two consecutive keyrings, and the next run continues from there.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.errors import Conflict
from workers.tickets.audit_log import AuditLog
from workers.tickets.keyring import KEY_SIZES, Key, RandomBytes
from workers.tickets.rotation import CatchUp, Done, NodeStatus, Refuse, Rotate, RotationRequest, decide
from workers.tickets.ssh import NodeConnection, NodeRefused, NodeUnreachable

# Issues a fencing token that is greater than the argument.
IssueToken = Callable[[int], int]


class StaleToken(Conflict):
    """Another rotator claimed the fleet, so this one stops. `nodes` are those that reported it."""

    code = "stale-token"
    exit_code = 1

    def __init__(self, nodes: Sequence[str], node_count: int, detail: str) -> None:
        super().__init__(f"Another rotator claimed {len(nodes)} of {node_count} nodes: {detail}")
        self.nodes = tuple(nodes)


@dataclass
class RunReport:
    """The outcome of a run. `result`: rotated, caught-up, up-to-date, or a code of `rotation.Refuse`."""

    result: str = "up-to-date"
    reason: str = ""
    generation: int = 0
    token: int = 0
    seconds: float = 0.0
    statuses: dict[str, NodeStatus] = field(default_factory=dict)
    unreachable: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def is_refused(self) -> bool:
        """Whether the request was not carried out."""
        return self.result not in ("rotated", "caught-up", "up-to-date")


class Rotator:
    """Runs over the nodes behind `connections`. `owner` names this process for people."""

    def __init__(
        self,
        connections: Mapping[str, NodeConnection],
        audit_log: AuditLog,
        owner: str,
        random: RandomBytes = os.urandom,
    ) -> None:
        self._connections = connections
        self._audit_log = audit_log
        self._owner = owner
        self._random = random
        self._report = RunReport()

    async def status(self) -> RunReport:
        """Only read the status of every node."""
        self._report = RunReport()
        await self._request_all(self._connections, lambda node: self._request(node, "status"))
        return self._report

    async def run(self, request: RotationRequest, issue_token: IssueToken) -> RunReport:
        """Carry out a request. Raises StaleToken, and any error of `issue_token`."""
        started = time.monotonic()
        report = await self.status()
        if report.statuses:
            newest_token = max(status.token for status in report.statuses.values())
            report.token = await asyncio.to_thread(issue_token, newest_token)
            await self._request_all(report.statuses, lambda node: self._request_as_owner(node, "claim"))
        while not await self._step(request):
            if report.result == "rotated":
                request = RotationRequest()
        report.seconds = time.monotonic() - started
        self._audit_log.record_run(report.result, report.generation, report.token, report.unreachable)
        return report

    async def forget(self, node: str, issue_token: IssueToken) -> RunReport:
        """Make one node forget the fleet's keys and generate its own."""
        report = await self.status()
        if node in report.statuses:
            report.token = await asyncio.to_thread(issue_token, report.statuses[node].token)
            await self._request_all([node], lambda each: self._request_as_owner(each, "claim"))
            await self._request_all([node], lambda each: self._request_as_owner(each, "forget"))
            self._audit_log.record_change("forgotten", node, report.token, report.statuses[node])
        return report

    async def _step(self, request: RotationRequest) -> bool:
        """Execute the next step. Returns whether it was the last one."""
        report = self._report
        step = decide(report.statuses, report.failed, request, fleet_size=len(self._connections))
        if isinstance(step, Done):
            report.generation = step.generation
            return True
        if isinstance(step, Refuse):
            report.reason = step.reason
            if report.result != "rotated":
                report.result = step.code
            return True
        if isinstance(step, CatchUp):
            await self._catch_up(step)
        else:
            await self._rotate(step)
        return False

    async def _catch_up(self, step: CatchUp) -> None:
        replies = await self._request_all([step.source], lambda node: self._request_as_owner(node, "read"))
        if step.source not in replies:
            return
        keys = [Key.decode(line) for line in replies[step.source]["keys"]]
        missing = {node: keys[-count:] for node, count in step.missing.items()}
        await self._push(missing, step.generation, "caught-up")
        if self._report.result == "up-to-date":
            self._report.result = "caught-up"

    async def _rotate(self, step: Rotate) -> None:
        size = max((status.key_size for status in self._report.statuses.values()), default=KEY_SIZES[-1])
        keys = [Key.generate(size, self._random) for _ in range(step.keys)]
        self._report.result, self._report.generation = "rotated", step.generation
        await self._push(dict.fromkeys(self._report.statuses, keys), step.generation, "rotated")

    async def _push(self, keys_by_node: Mapping[str, Sequence[Key]], generation: int, event: str) -> None:
        """Push to all nodes concurrently. A node whose keyring is wrong afterwards counts as failed."""

        async def push(node: str) -> dict[str, Any] | None:
            keys = keys_by_node[node]
            reply = await self._request_as_owner(
                node,
                "push",
                keys=[key.encode() for key in keys],
                generation=generation,
                expected_key=self._report.statuses[node].key_names[-1],
            )
            if reply is not None:
                self._audit_log.record_change(event, node, self._report.token, self._report.statuses[node])
                if self._report.statuses[node].key_names[-len(keys) :] != tuple(key.name for key in keys):
                    self._report.failed[node] = "The node's keys differ from the keys that were pushed."
            return reply

        await self._request_all(keys_by_node, push)

    async def _request_as_owner(self, node: str, op: str, **fields: object) -> dict[str, Any] | None:
        return await self._request(node, op, token=self._report.token, owner=self._owner, **fields)

    async def _request(self, node: str, op: str, **fields: object) -> dict[str, Any] | None:
        """A node's reply; None if it failed. Raises NodeRefused if another rotator claimed the node."""
        report, connection = self._report, self._connections[node]
        try:
            reply = await connection.request(op, **fields)
        except NodeUnreachable as error:
            report.statuses.pop(node, None)
            report.unreachable[node] = str(error)
            return None
        except NodeRefused as error:
            if error.reason_code == "stale-token":
                raise
            report.failed[node] = str(error)
            return None
        assert connection.status is not None  # noqa: S101 -- it has just answered
        report.statuses[node] = connection.status
        return reply

    async def _request_all(
        self, nodes: Sequence[str] | Mapping[str, object], send: Callable[[str], Awaitable[dict[str, Any] | None]]
    ) -> dict[str, dict[str, Any]]:
        """Send a request to all nodes concurrently. Returns the replies. Raises StaleToken once all are complete."""
        names = list(nodes)
        outcomes = await asyncio.gather(*(send(node) for node in names), return_exceptions=True)
        stale = {node: error for node, error in zip(names, outcomes, strict=True) if isinstance(error, NodeRefused)}
        for error in outcomes:
            if isinstance(error, BaseException) and not isinstance(error, NodeRefused):
                raise error
        if stale:
            report = self._report
            self._audit_log.record_run("stale-token", report.generation, report.token, report.unreachable)
            raise StaleToken(list(stale), len(names), str(next(iter(stale.values()))))
        return {node: reply for node, reply in zip(names, outcomes, strict=True) if isinstance(reply, dict)}
