"""What a render left behind in its process, which ends with it: memory, pixels outside memory, and open files.

A first render also fills caches, such as those of fonts. `sample` therefore does the same work twice, and measures
what the second time leaves on the heap.
"""

import gc
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from workers.sandbox import process_stats


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
    """Do `work` twice, and return as `heap_leaked_bytes` what the second time left on the heap.

    If there is a `capture`, memray records the second time in this file instead, and the result is empty.
    """
    work()
    gc.collect()
    residue = Residue()
    with _tracker(capture) if capture else nullcontext():
        work()
        gc.collect()
    return {} if capture else {"heap_leaked_bytes": residue.facts()["heap_growth_bytes"]}


def _tracker(capture: str) -> Any:
    import memray

    aggregated = memray.FileFormat.AGGREGATED_ALLOCATIONS  # small
    return memray.Tracker(Path(capture), native_traces=True, file_format=aggregated)


def flame_graph(arguments: Mapping[str, Any], _report: Callable[[Mapping[str, Any]], None]) -> None:
    """Make of memray's file `capture` the page `report`, about memory that was not freed."""
    from memray.commands import main

    main(["flamegraph", "--leaks", "--force", "--output", arguments["report"], arguments["capture"]])
