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


class ResourceUsage:
    """Opened when the attempt begins, in its own process, which does one thing at a time.

    It is `tracked` while memray looks on, which takes memory of its own.
    """

    def __init__(self) -> None:
        self.profiled = False
        self._peak_was_reset = process_stats.reset_peak()
        self._started_at = time.monotonic()
        self._cpu_at_start = time.process_time()
        self._anonymous_at_start = process_stats.anonymous_memory()
        self._descriptors_at_start = process_stats.open_descriptors()

    def consumed(self, planned_bytes: int | None) -> dict[str, Any]:
        """Seconds by clock and processor, peak of the resident set, and how far the plan (bytes) was off."""
        facts: dict[str, Any] = {
            "seconds": round(time.monotonic() - self._started_at, 3),
            "cpu_seconds": round(time.process_time() - self._cpu_at_start, 3),
        }
        if self._peak_was_reset:  # else it may be that of a job before
            facts["peak_bytes"] = process_stats.peak_resident_memory()
            if planned_bytes:
                facts |= {"planned_bytes": planned_bytes, "plan_error": plan_error(planned_bytes, facts["peak_bytes"])}
        return facts

    def facts(self, planned_bytes: int | None) -> dict[str, Any]:
        """What was spent and what is left, of an attempt that came to its own end."""
        return self.consumed(planned_bytes) | self.residue() | ({"tracked": True} if self.profiled else {})

    def residue(self) -> dict[str, Any]:
        """What the attempt left behind, once nothing of its work is in use: memory, pixels outside it, open files.

        Then what its process holds by now (`heap_bytes`, `pixel_bytes`, `open_files`), from which the leak watch tells
        what stays for good; and the engine that did it.
        """
        held, files = process_stats.imagemagick_usage(), process_stats.open_descriptors()
        spilled = held.get("map", 0) + held.get("disk", 0)
        return {
            "grown_bytes": process_stats.anonymous_memory() - self._anonymous_at_start,
            "spilled_bytes": spilled,
            "descriptors": files - self._descriptors_at_start,
            "heap_bytes": process_stats.allocated_heap(),
            "pixel_bytes": held.get("memory", 0) + spilled,
            "open_files": files,
            "engine": ENGINE_VERSION,
        }
