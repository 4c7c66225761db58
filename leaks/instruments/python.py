"""Finds where Python objects that are kept were created: a separate run with tracemalloc."""

import json
from pathlib import PurePath

from leaks.roots import AllocationSite, Frame, Root, Stack
from leaks.run import Run

# Types of garbage that are listed, the most frequent first.
MAX_TYPES = 8


def python_roots(run: Run, *, cycles_first: bool) -> tuple[list[Root], list[AllocationSite]]:
    """Roots by source line and by type in cycles; the latter first with `cycles_first`."""
    run.run_child("python", "tracemalloc")
    findings = json.loads(run.output_path("python").read_text())
    places = [AllocationSite(_stack(place["frames"]), place["bytes"], place["blocks"]) for place in findings["places"]]
    lines = [_root(place) for place in places]
    cycles = sorted(findings["cycles"].items(), key=lambda item: -item[1])[:MAX_TYPES]
    types = [Root(f"{name} in a cycle", name, 0, count, count, ()) for name, count in cycles]
    return [*types, *lines] if cycles_first else [*lines, *types], places


def _root(place: AllocationSite) -> Root:
    line = place.stack[0].label
    return Root(line, line, place.bytes, place.blocks, place.blocks, place.stack)


def _stack(frames: list[tuple[str, int]]) -> Stack:
    return tuple(Frame(f"{PurePath(file).name}:{line}", file, str(line)) for file, line in frames)
