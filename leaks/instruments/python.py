"""Where Python objects that stay were made: tracemalloc in a run of its own, once the verdict is Python-level."""

import json
from pathlib import PurePath

from leaks.roots import Frame, Place, Root, Stack
from leaks.run import Run

# Types of garbage that are named, the most frequent first.
TYPES = 8


def python_roots(run: Run, *, waiting: bool) -> tuple[list[Root], list[Place]]:
    """Roots by line of source and by type in cycles; those first if it is memory that waits for the collector."""
    run.child("python", "tracemalloc")
    found = json.loads(run.path("python").read_text())
    places = [Place(_stack(place["frames"]), place["bytes"], place["blocks"]) for place in found["places"]]
    lines = [_root(place) for place in places]
    cycles = sorted(found["cycles"].items(), key=lambda item: -item[1])[:TYPES]
    types = [Root(f"{name} in a cycle", name, 0, count, count, ()) for name, count in cycles]
    return [*types, *lines] if waiting else [*lines, *types], places


def _root(place: Place) -> Root:
    line = place.stack[0].label
    return Root(line, line, place.bytes, place.blocks, place.blocks, place.stack)


def _stack(frames: list[tuple[str, int]]) -> Stack:
    return tuple(Frame(f"{PurePath(file).name}:{line}", file, str(line)) for file, line in frames)
