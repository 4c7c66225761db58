"""What a render left behind in its process, which ends with it: memory, pixels outside memory, and open files.

A first render also fills caches, such as those of fonts. `sample` therefore repeats the same work, and measures what
each further time leaves on the heap.
"""

import gc
import io
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from tasks.errors import JobFailed
from workers.sandbox import process_stats

# Renders that are measured after the first one.
MEASURED = 2


class Residue:
    """Created before a render, in its process. Takes under 200 microseconds."""

    def __init__(self) -> None:
        self._anonymous = process_stats.anonymous_memory()
        self._heap = process_stats.allocated_heap()
        self._descriptors = process_stats.open_descriptors()

    def facts(self) -> dict[str, Any]:
        """Growth since the start, in bytes and in files. `pixel_bytes` are ImageMagick's, in memory and on disk."""
        gc.collect()
        imagemagick = process_stats.imagemagick_usage()
        spilled = imagemagick.get("map", 0) + imagemagick.get("disk", 0)
        return {
            "memory_growth_bytes": process_stats.anonymous_memory() - self._anonymous,
            "heap_growth_bytes": process_stats.allocated_heap() - self._heap,
            "pixel_bytes": imagemagick.get("memory", 0) + spilled,
            "spilled_bytes": spilled,
            "descriptor_growth": process_stats.open_descriptors() - self._descriptors,
        }


def sample(work: Callable[[], object], capture: str | None) -> dict[str, Any]:
    """Do `work` several times, and return as `heap_leaked_bytes` what each time but the first leaves on the heap.

    That is the least of what was measured: Python's table of interned strings, for example, grows by a megabyte at some
    time. If there is a `capture`, memray records the second time in this file instead, and the result is empty.
    """
    work()
    if capture:
        gc.collect()
        with _tracker(capture):
            work()
            gc.collect()
        return {}
    return {"heap_leaked_bytes": min(_heap_growth(work) for _ in range(MEASURED))}


def _heap_growth(work: Callable[[], object]) -> int:
    gc.collect()
    before = process_stats.allocated_heap()
    work()
    gc.collect()
    return process_stats.allocated_heap() - before


def _tracker(capture: str) -> Any:
    import memray

    aggregated = memray.FileFormat.AGGREGATED_ALLOCATIONS  # small
    return memray.Tracker(Path(capture), native_traces=True, file_format=aggregated)


def flame_graph(arguments: Mapping[str, Any], _report: Callable[[Mapping[str, Any]], None]) -> None:
    """Make of memray's file `capture` the page `report`, about memory that was not freed. Raises JobFailed."""
    from memray.commands import main

    said = io.StringIO()
    with redirect_stderr(said):
        status = main(["flamegraph", "--leaks", "--force", "--output", arguments["report"], arguments["capture"]])
    if status:
        raise JobFailed(f"Memray cannot read the capture: {said.getvalue().strip()}")
