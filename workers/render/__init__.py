"""The render engine: a plain library that knows no queue.

    from pathlib import Path
    from tasks.renders import RenderOptions
    from workers.render import render
    manifest = render(Path("floorplan.dxf"), Path("out"), RenderOptions(width=2048))

plan -> open -> draw -> compose -> encode -> manifest; one module a step, one module a source family in `sources/`.
Importing this package loads no native library; calling `render` does, in the process that calls it.
"""

from collections.abc import Callable
from pathlib import Path

from tasks.renders import RenderOptions
from workers.render.errors import BlueprintError, EngineError
from workers.render.manifest import Manifest
from workers.render.progress import Step, ignore_progress

__all__ = ["BlueprintError", "EngineError", "Manifest", "Step", "render"]


def render(
    source: Path, out: Path, options: RenderOptions, *, progress: Callable[[Step], None] = ignore_progress
) -> Manifest:
    """Draw the blueprint at `source` into the empty directory `out`.

    Writes `preview.webp`, `layers/NNN.webp` for every layer with something to see, and `manifest.json`. The same
    source and options give the same bytes. `progress` is called with rising percentages. Raises `BlueprintError`
    for a source that cannot be rendered, `EngineError` for a machine that cannot render.
    """
    from workers.render.native import prepare

    prepare()
    from workers.render.engine import run

    return run(source, out, options, progress)
