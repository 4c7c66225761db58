"""The render engine: a library without knowledge of queues.

    from pathlib import Path
    from tasks.renders import RenderOptions
    from workers.render import render
    manifest = render(Path("floorplan.dxf"), Path("out"), RenderOptions(width=2048))

Its steps are plan, open, draw, compose, encode, tiles and manifest: one module per step, and one module per family of
formats in `sources/`. Importing this package loads no native library; calling `render` does, in the calling process.
"""

from collections.abc import Callable
from pathlib import Path

from tasks.plan import Plan
from tasks.renders import RenderOptions
from workers.render.errors import BlueprintError, EngineError
from workers.render.manifest import Manifest
from workers.render.progress import Step, ignore_progress

__all__ = ["BlueprintError", "EngineError", "Manifest", "Step", "render"]


def render(
    source: Path,
    out: Path,
    options: RenderOptions,
    *,
    progress: Callable[[Step], None] = ignore_progress,
    plan: Plan | None = None,
    sha256: str | None = None,
) -> Manifest:
    """Render the blueprint at `source` into the empty directory `out`.

    Writes `preview.webp`, `layers/NNN.webp` for every layer with visible content, and `manifest.json`. The same source
    and options give the same bytes. `progress` is called with rising percentages. A caller that has planned the render
    or computed the SHA-256 of the source passes them, so that neither is done twice. Raises `BlueprintError` for a
    source that cannot be rendered, `EngineError` for a machine that cannot render.
    """
    from workers.render.native import prepare

    prepare()
    from workers.render.engine import run

    return run(source, out, options, progress, plan=plan, sha256=sha256)
