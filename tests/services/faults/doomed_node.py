"""`python -m tests.services.faults.doomed_node POINT PROGRAM…`: a node's program that kills itself at POINT, once.

PROGRAM is the installed file and its arguments.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

POINTS = ("dated", "written", "pushed", "answered")


def main(point: str, program: str, *arguments: str) -> int:
    """Serve until death."""
    sys.path.insert(0, program)
    from workers.tickets.node import server
    from workers.tickets.node.haproxy import HAProxy
    from workers.tickets.node.state import NodeState

    def after(kind: type, name: str) -> None:
        whole = getattr(kind, name)

        def doomed(self: Any, *given: Any, **named: Any) -> Any:
            answer = whole(self, *given, **named)
            mark = Path(f"{program}.{point}")
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        setattr(kind, name, doomed)

    spots: dict[str, tuple[type, str]] = {
        "dated": (NodeState, "date"),
        "written": (NodeState, "restore"),
        "pushed": (HAProxy, "_push"),
        "answered": (server.TicketNode, "push"),
    }
    after(*spots[point])
    sys.argv = [program, *arguments]
    return server.main()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
