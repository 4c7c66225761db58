"""The audit log: which key came to which node, when, by whose hand. Keys by name only."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from workers.tickets.rotation import View

FILE = Path("tickets/audit.jsonl")


class Audit:
    """Appends one line of JSON an event to a file below `var`; each is one write, whole or not there."""

    def __init__(self, var: Path, holder: str) -> None:
        self._path = var / FILE
        self._holder = holder

    def event(self, event: str, node: str, token: int, view: View) -> None:
        """A node's ring changed: rotated, caught-up, forgotten."""
        self._append(event=event, node=node, token=token, generation=view.generation, keys=view.names)

    def result(self, result: str, generation: int, token: int, unreachable: Mapping[str, str]) -> None:
        """A run ended."""
        self._append(event="run", result=result, token=token, generation=generation, unreachable=sorted(unreachable))

    def _append(self, **fields: object) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = json.dumps({"at": round(time.time(), 3), "holder": self._holder, **fields}) + "\n"
        handle = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)
