"""Resources that one attempt uses, measured from its start to its end as facts for the ledger.

    usage = ResourceUsage()
    ...
    facts = usage.facts(planned_bytes=120 * 1024**2)

Takes under 200 microseconds per job. Nothing is sampled during the work.
"""

import time
from typing import Any

from tasks.renders import ENGINE_VERSION
from workers.crash.explanation import plan_error
from workers.sandbox import process_stats


class ResourceUsage:
    """Created at the start of an attempt, in its process, which runs one job at a time.

    `profiled` tells that memray observed the attempt, which uses memory of its own.
    """

    def __init__(self) -> None:
        self.profiled = False
        self._peak_was_reset = process_stats.reset_peak()
        self._started_at = time.monotonic()
        self._cpu_at_start = time.process_time()
        self._anonymous_at_start = process_stats.anonymous_memory()
        self._descriptors_at_start = process_stats.open_descriptors()

    def consumed(self, planned_bytes: int | None) -> dict[str, Any]:
        """Duration, CPU time, peak resident memory, and the relative error of the plan."""
        facts: dict[str, Any] = {
            "seconds": round(time.monotonic() - self._started_at, 3),
            "cpu_seconds": round(time.process_time() - self._cpu_at_start, 3),
        }
        if self._peak_was_reset:  # otherwise it may be the peak of an earlier job
            facts["peak_bytes"] = process_stats.peak_resident_memory()
            if planned_bytes:
                facts |= {"planned_bytes": planned_bytes, "plan_error": plan_error(planned_bytes, facts["peak_bytes"])}
        return facts

    def facts(self, planned_bytes: int | None) -> dict[str, Any]:
        """All facts of an attempt that reached its own end."""
        return self.consumed(planned_bytes) | self.residue() | ({"profiled": True} if self.profiled else {})

    def residue(self) -> dict[str, Any]:
        """What remains after the attempt: memory, pixels outside memory, and open files.

        `heap_bytes`, `pixel_bytes` and `open_files` are totals of the process. Leak detection compares them, by engine
        version, to find what is never released.
        """
        imagemagick, open_files = process_stats.imagemagick_usage(), process_stats.open_descriptors()
        spilled = imagemagick.get("map", 0) + imagemagick.get("disk", 0)
        return {
            "memory_growth_bytes": process_stats.anonymous_memory() - self._anonymous_at_start,
            "spilled_bytes": spilled,
            "descriptor_growth": open_files - self._descriptors_at_start,
            "heap_bytes": process_stats.allocated_heap(),
            "pixel_bytes": imagemagick.get("memory", 0) + spilled,
            "open_files": open_files,
            "engine": ENGINE_VERSION,
        }
