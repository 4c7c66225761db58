"""The code of a render that runs in the sandbox."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tasks.plan import Plan
from tasks.renders import RenderOptions
from workers.render import Step, render
from workers.render.errors import OutOfMemory
from workers.render.sandboxed.residue import Residue, sample


def render_body(arguments: Mapping[str, Any], report: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Render `source` into `out`, and return what the render left behind.

    The other arguments are `options`, `plan` and `sha256`, as for `render`. Raises what `render` raises.
    """
    residue = Residue()

    def on_progress(step: Step) -> None:
        report({"percent": step.percent, "stage": step.stage, "layer": step.layer})

    _render(arguments, Path(arguments["out"]), on_progress)
    return residue.facts()


def sample_body(arguments: Mapping[str, Any], _report: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Render repeatedly into temporary directories, and return what a render leaves on the heap.

    The arguments are those of `render_body`, and the file `capture` for memray, if it is to record the second render.
    """

    def render_once() -> None:
        out = tempfile.mkdtemp()
        _render(arguments, Path(out), lambda _step: None)
        shutil.rmtree(out)

    return sample(render_once, arguments["capture"])


def _render(arguments: Mapping[str, Any], out: Path, on_progress: Callable[[Step], None]) -> None:
    try:
        render(
            Path(arguments["source"]),
            out,
            RenderOptions.model_validate(arguments["options"]),
            progress=on_progress,
            plan=Plan(**arguments["plan"]),
            sha256=arguments["sha256"],
        )
    except MemoryError as error:
        raise OutOfMemory from error
