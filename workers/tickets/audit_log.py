"""The audit log: which key was pushed to which node, when and by which process. Keys appear by name only."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from workers.tickets.rotation import NodeStatus

FILE = Path("tickets/audit.jsonl")


class AuditLog:
    """Appends one line of JSON an event to a file below `var`. Each line is a single write."""

    def __init__(self, var: Path, owner: str) -> None:
        self._path = var / FILE
        self._owner = owner

    def record_change(self, event: str, node: str, token: int, status: NodeStatus) -> None:
        """Record that a node's keyring changed: rotated, caught-up or forgotten."""
        self._append(event=event, node=node, token=token, generation=status.generation, keys=status.key_names)

    def record_run(self, result: str, generation: int, token: int, unreachable: Mapping[str, str]) -> None:
        """Record that a run ended."""
        self._append(event="run", result=result, token=token, generation=generation, unreachable=sorted(unreachable))

    def _append(self, **fields: object) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = json.dumps({"time": round(time.time(), 3), "owner": self._owner, **fields}) + "\n"
        descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
