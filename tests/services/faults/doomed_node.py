"""`python -m tests.services.faults.doomed_node POINT PROGRAM…`: a node's program that kills itself once, at POINT.

PROGRAM is the installed file and its arguments.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

POINTS = ("recorded", "written", "pushed", "answered")


def main(point: str, program: str, *arguments: str) -> int:
    """Serve until it is killed."""
    sys.path.insert(0, program)
    from workers.tickets.node import server
    from workers.tickets.node.haproxy import HAProxy
    from workers.tickets.node.state import NodeState

    def after(kind: type, name: str) -> None:
        original = getattr(kind, name)

        def doomed(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(self, *args, **kwargs)
            mark = Path(f"{program}.{point}")
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(kind, name, doomed)

    targets: dict[str, tuple[type, str]] = {
        "recorded": (NodeState, "record_generation"),
        "written": (NodeState, "write_keyring"),
        "pushed": (HAProxy, "_push"),
        "answered": (server.TicketNode, "push"),
    }
    after(*targets[point])
    sys.argv = [program, *arguments]
    return server.main()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
