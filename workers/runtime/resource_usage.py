"""Resources that one attempt used, as facts for the ledger.

usage = ResourceUsage()
usage.add(exit_info)                       # of each process that ran in the sandbox
facts = usage.facts(planned_bytes=120 * 1024**2)
"""

import time
from typing import Any

from tasks.renders import ENGINE_VERSION
from workers.crash.explanation import plan_error
from workers.sandbox.runner import ExitInfo


class ResourceUsage:
    """Created at the start of an attempt."""

    def __init__(self) -> None:
        self._started_at = time.monotonic()
        self._processes: list[ExitInfo] = []
        self._residue: dict[str, Any] = {}

    def add(self, exit_info: ExitInfo) -> None:
        """Count a process that has ended; the same one is counted once."""
        if exit_info not in self._processes:
            self._processes.append(exit_info)

    @property
    def sandbox_seconds(self) -> float:
        """Seconds that the processes took together."""
        return sum(process.seconds for process in self._processes)

    def set_residue(self, residue: dict[str, Any]) -> None:
        """Record what the render left behind in its process, as its own code reported it."""
        self._residue = {**residue, "engine": ENGINE_VERSION}

    def facts(self, planned_bytes: int | None) -> dict[str, Any]:
        """Duration, processor time, peak resident memory, the relative error of the plan, and the residue."""
        facts: dict[str, Any] = {"seconds": round(time.monotonic() - self._started_at, 3)}
        if self._processes:
            peak = max(process.peak for process in self._processes)
            facts["cpu_seconds"] = round(sum(process.cpu for process in self._processes), 3)
            facts["peak_bytes"] = peak
            if planned_bytes:
                facts |= {"planned_bytes": planned_bytes, "plan_error": plan_error(planned_bytes, peak)}
        return facts | self._residue
