"""One run over the fleet: look, claim, catch up, rotate. It holds nothing between two runs.

1. Every node is asked what it is like, all at once.
2. A fencing token greater than any of theirs is taken, and every node claimed with it: from here on whoever has a
   smaller token changes nothing.
3. `rotation.decide` says what to do next, until there is nothing to do. Keys of the ring come from a node that has
   them; a new key is made here and forgotten when the run ends.

Whenever it is killed, each node has one of two rings that follow each other, and the next run goes on from there.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workers.tickets.audit_log import AuditLog
from workers.tickets.keyring import KEY_SIZES, Key, RandomBytes
from workers.tickets.rotation import CatchUp, Done, NodeStatus, Refuse, Rotate, RotationRequest, decide
from workers.tickets.ssh import NodeConnection, NodeRefused, NodeUnreachable

# Asks for a fencing token that is greater than `least`.
IssueToken = Callable[[int], int]


class StaleToken(Exception):
    """Another rotator works on the fleet, and this one stops. `nodes` are those that said so."""

    def __init__(self, nodes: Sequence[str], node_count: int, detail: str) -> None:
        super().__init__(f"Fenced out on {len(nodes)} of {node_count} nodes: {detail}")
        self.nodes = tuple(nodes)


@dataclass
class RunReport:
    """What became of a run. `result`: rotated, caught-up, nothing, or a code of `rotation.Refuse`."""

    result: str = "nothing"
    reason: str = ""
    generation: int = 0
    token: int = 0
    seconds: float = 0.0
    statuses: dict[str, NodeStatus] = field(default_factory=dict)
    unreachable: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def is_refused(self) -> bool:
        """Whether nothing came of what was asked for."""
        return self.result not in ("rotated", "caught-up", "nothing")


class Rotator:
    """Runs over the nodes behind `connections`. `holder` names this process, for people."""

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
        """Only what every node is like."""
        self._report = RunReport()
        await self._request_all(self._connections, lambda node: self._request(node, "look"))
        return self._report

    async def run(self, request: RotationRequest, issue_token: IssueToken) -> RunReport:
        """Do what is wished. Raises Fenced, and whatever `grant` raises."""
        began = time.monotonic()
        report = await self.status()
        if report.statuses:
            least = max(view.token for view in report.statuses.values())
            report.token = await asyncio.to_thread(issue_token, least)
            await self._request_all(report.statuses, lambda node: self._request_as_owner(node, "claim"))
        while not await self._step(request):
            if report.result == "rotated":
                request = RotationRequest()
        report.seconds = time.monotonic() - began
        self._audit_log.record_run(report.result, report.generation, report.token, report.unreachable)
        return report

    async def forget(self, node: str, issue_token: IssueToken) -> RunReport:
        """Let one node take a ring of its own."""
        report = await self.status()
        if node in report.statuses:
            report.token = await asyncio.to_thread(issue_token, report.statuses[node].token)
            await self._request_all([node], lambda each: self._request_as_owner(each, "claim"))
            await self._request_all([node], lambda each: self._request_as_owner(each, "forget"))
            self._audit_log.record_change("forgotten", node, report.token, report.statuses[node])
        return report

    async def _step(self, request: RotationRequest) -> bool:
        """Take the next step; whether it was the last one."""
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
        answers = await self._request_all([step.source], lambda node: self._request_as_owner(node, "read"))
        if step.source not in answers:
            return
        ring = [Key.decode(line) for line in answers[step.source]["keys"]]
        pushed = {node: ring[-count:] for node, count in step.missing.items()}
        await self._push(pushed, step.generation, "caught-up")
        if self._report.result == "nothing":
            self._report.result = "caught-up"

    async def _rotate(self, step: Rotate) -> None:
        size = max((view.key_size for view in self._report.statuses.values()), default=KEY_SIZES[-1])
        keys = [Key.generate(size, self._random) for _ in range(step.keys)]
        self._report.result, self._report.generation = "rotated", step.generation
        await self._push(dict.fromkeys(self._report.statuses, keys), step.generation, "rotated")

    async def _push(self, pushed: Mapping[str, Sequence[Key]], generation: int, event: str) -> None:
        """Push to all at once. A node that has another ring afterwards than it should is remembered as failed."""

        async def push(node: str) -> dict[str, Any] | None:
            keys = pushed[node]
            expect = self._report.statuses[node].key_names[-1]
            lines = [key.encode() for key in keys]
            answer = await self._request_as_owner(node, "push", keys=lines, generation=generation, expect=expect)
            if answer is not None:
                self._audit_log.record_change(event, node, self._report.token, self._report.statuses[node])
                if self._report.statuses[node].key_names[-len(keys) :] != tuple(key.name for key in keys):
                    self._report.failed[node] = "It has not what it was given."
            return answer

        await self._request_all(pushed, push)

    async def _request_as_owner(self, node: str, op: str, **fields: object) -> dict[str, Any] | None:
        return await self._request(node, op, token=self._report.token, holder=self._owner, **fields)

    async def _request(self, node: str, op: str, **fields: object) -> dict[str, Any] | None:
        """A node's answer; None if there is none, or it failed. Raises NodeRefused where it is fenced."""
        report, connection = self._report, self._connections[node]
        try:
            answer = await connection.request(op, **fields)
        except NodeUnreachable as error:
            report.statuses.pop(node, None)
            report.unreachable[node] = str(error)
            return None
        except NodeRefused as error:
            if error.code == "fenced":
                raise
            report.failed[node] = str(error)
            return None
        assert connection.status is not None  # noqa: S101 -- it has just answered
        report.statuses[node] = connection.status
        return answer

    async def _request_all(
        self, nodes: Sequence[str] | Mapping[str, object], work: Callable[[str], Awaitable[dict[str, Any] | None]]
    ) -> dict[str, dict[str, Any]]:
        """Do it on all of them at once; the answers. Raises Fenced once all have spoken."""
        each = list(nodes)
        said = await asyncio.gather(*(work(node) for node in each), return_exceptions=True)
        fenced = {node: error for node, error in zip(each, said, strict=True) if isinstance(error, NodeRefused)}
        for error in said:
            if isinstance(error, BaseException) and not isinstance(error, NodeRefused):
                raise error
        if fenced:
            self._audit_log.record_run("fenced", self._report.generation, self._report.token, self._report.unreachable)
            raise StaleToken(list(fenced), len(each), str(next(iter(fenced.values()))))
        return {node: answer for node, answer in zip(each, said, strict=True) if isinstance(answer, dict)}
