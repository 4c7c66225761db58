"""What one attempt takes: facts for the ledger, measured around it.

    account = Account()
    ...
    facts = account.facts(planned=120 * 1024**2)

Costs under 200 microseconds a job in all. Nothing is sampled while the job is at work.
"""

import time
from typing import Any

from tasks.renders import ENGINE_VERSION
from workers.crash.explanation import plan_error
from workers.sandbox import process_stats


class Account:
    """Opened when the attempt begins, in its own process, which does one thing at a time.

    It is `tracked` while memray looks on, which takes memory of its own.
    """

    def __init__(self) -> None:
        self.tracked = False
        self._own_peak = process_stats.restart_peak()
        self._began = time.monotonic()
        self._cpu = time.process_time()
        self._live = process_stats.live()
        self._open = process_stats.descriptors()

    def spent(self, planned: int | None) -> dict[str, Any]:
        """Seconds by clock and processor, peak of the resident set, and how far the plan (bytes) was off."""
        facts: dict[str, Any] = {
            "seconds": round(time.monotonic() - self._began, 3),
            "cpu_seconds": round(time.process_time() - self._cpu, 3),
        }
        if self._own_peak:  # else it may be that of a job before
            facts["peak_bytes"] = process_stats.peak()
            if planned:
                facts |= {"planned_bytes": planned, "plan_error": plan_error(planned, facts["peak_bytes"])}
        return facts

    def facts(self, planned: int | None) -> dict[str, Any]:
        """What was spent and what is left, of an attempt that came to its own end."""
        return self.spent(planned) | self.left() | ({"tracked": True} if self.tracked else {})

    def left(self) -> dict[str, Any]:
        """What the attempt left behind, once nothing of its work is in use: memory, pixels outside it, open files.

        Then what its process holds by now (`heap_bytes`, `pixel_bytes`, `open_files`), from which the leak watch tells
        what stays for good; and the engine that did it.
        """
        held, files = process_stats.magick(), process_stats.descriptors()
        spilled = held.get("map", 0) + held.get("disk", 0)
        return {
            "grown_bytes": process_stats.live() - self._live,
            "spilled_bytes": spilled,
            "descriptors": files - self._open,
            "heap_bytes": process_stats.heap(),
            "pixel_bytes": held.get("memory", 0) + spilled,
            "open_files": files,
            "engine": ENGINE_VERSION,
        }
