"""Kill a rotation at a point: `python -m tests.services.faults.doomed_rotator POINT COUNT` (its COUNTth time there).

Points are `before OP` and `after OP`: before a request for an operation is sent to a node, or after its reply. The
process kills itself with SIGKILL; with a third argument, it waits for a file of that name to appear instead.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.jobs import open_ledger
from tasks.settings import settings
from workers.tickets.controller import FleetController
from workers.tickets.rotation import RotationRequest
from workers.tickets.rotator import StaleToken
from workers.tickets.ssh import NodeConnection

OPERATIONS = ("status", "claim", "read", "push")
POINTS = tuple(f"{when} {op}" for op in OPERATIONS for when in ("before", "after"))


class DoomedConnection(NodeConnection):
    """Counts the requests to all nodes together."""

    point, count = "", 0
    stop: Callable[[], None]

    async def request(self, op: str, **fields: object) -> dict[str, Any]:
        self._at(f"before {op}")
        reply = await super().request(op, **fields)
        self._at(f"after {op}")
        return reply

    @classmethod
    def _at(cls, point: str) -> None:
        if point == cls.point:
            cls.count -= 1
            if cls.count == 0:
                cls.stop()


def die() -> None:
    """Die at once, without cleaning up."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(point: str, count: str, *file: str) -> int:
    """Rotate once."""
    import workers.tickets.controller as module

    def wait() -> None:
        print("waiting", flush=True)
        while not Path(file[0]).exists():
            time.sleep(0.01)

    DoomedConnection.point, DoomedConnection.count = point, int(count)
    DoomedConnection.stop = staticmethod(wait if file else die)
    setattr(module, "NodeConnection", DoomedConnection)  # noqa: B010 -- the module only imports it
    config = settings()
    ledger = open_ledger(config)
    try:
        report = asyncio.run(FleetController(config, ledger.rotations).run(RotationRequest(None)))
    except StaleToken as error:
        print(error)
        return 1
    print(report.result)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
