"""Kill a rotation at a point: `python -m tests.services.faults.doomed_rotator POINT COUNT` (its COUNTth time there).

Points are `before OP` and `after OP`: an operation of the node's program, for some node, is about to be asked for, or
has been answered. It dies of SIGKILL; or, with a third argument, it waits for a file of that name to appear.
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
    """Counts what is asked of all nodes together."""

    point, count = "", 0
    stop: Callable[[], None]

    async def ask(self, op: str, **fields: object) -> dict[str, Any]:
        self._at(f"before {op}")
        answer = await super().request(op, **fields)
        self._at(f"after {op}")
        return answer

    @classmethod
    def _at(cls, point: str) -> None:
        if point == cls.point:
            cls.count -= 1
            if cls.count == 0:
                cls.stop()


def die() -> None:
    """At once, without a word."""
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
    setattr(module, "Connection", DoomedConnection)  # noqa: B010 -- it is no public name there
    chosen = settings()
    ledger = open_ledger(chosen)
    try:
        report = asyncio.run(FleetController(chosen, ledger.rotations).run(RotationRequest(None)))
    except StaleToken as fenced:
        print(fenced)
        return 1
    print(report.result)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
