"""The code of a render that runs in the sandbox."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tasks.plan import Plan
from tasks.renders import RenderOptions
from workers.render import Step, render
from workers.render.errors import OutOfMemory
from workers.render.residue import Residue


def render_body(arguments: Mapping[str, Any], report: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Render `source` into `out`, and return what the render left behind.

    The other arguments are `options`, `plan` and `sha256`, as for `render`. Raises what `render` raises.
    """
    residue = Residue()

    def on_progress(step: Step) -> None:
        report({"percent": step.percent, "stage": step.stage, "layer": step.layer})

    try:
        render(
            Path(arguments["source"]),
            Path(arguments["out"]),
            RenderOptions.model_validate(arguments["options"]),
            progress=on_progress,
            plan=Plan(**arguments["plan"]),
            sha256=arguments["sha256"],
        )
    except MemoryError as error:
        raise OutOfMemory from error
    return residue.facts()
