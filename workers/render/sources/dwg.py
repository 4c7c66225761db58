"""DWG: converted to DXF by an external program.

The converter runs under the memory limit. The DXF takes about eight times the DWG's bytes on disk while it is read.
"""

import resource
import shlex
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.plan import Plan
from tasks.renders import RenderOptions
from tasks.settings import settings
from tasks.utils.parent_death import parent_death_setter
from workers.render.errors import BlueprintError, EngineError
from workers.render.progress import ProgressReporter
from workers.render.sources import dxf
from workers.render.vector.spill_buffer import SPILL_DIR

# In seconds. A drawing of 50 MB takes dwg2dxf some twenty.
TIMEOUT = 120

ADVICE = "Save it as DXF (command DXFOUT) and send that."


def open_source(plan: Plan, path: Path, options: RenderOptions, progress: ProgressReporter) -> dxf.DxfSource:
    """Convert the drawing and open the result.

    Raises `BlueprintError` (`damaged-dwg`, and the codes of DXF), `EngineError` if the converter cannot be started.
    """
    progress.update("open")
    with TemporaryDirectory(dir=SPILL_DIR) as folder:
        source, target = Path(folder, "drawing.dwg"), Path(folder, "drawing.dxf")
        source.symlink_to(path.resolve())
        _convert(settings().dwg_converter, source, target, settings().memory_limit, progress)
        return dxf.open_source(plan, target, options, progress)


def build_command(template: str, source: Path, target: Path) -> list[str]:
    """Split the command line and replace {source} and {target} by paths. There is no shell, so paths need no quotes."""
    replacements = {"{source}": str(source), "{target}": str(target)}
    arguments = shlex.split(template)
    return [replacements.get(argument, argument) for argument in arguments]


def _convert(template: str, source: Path, target: Path, memory_limit: int, progress: ProgressReporter) -> None:
    end_with_parent = parent_death_setter()

    def confine() -> None:
        end_with_parent()
        resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))

    arguments = build_command(template, source, target)
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=source.parent,
            preexec_fn=confine,  # noqa: PLW1509 - two system calls that take no lock
        )
    except OSError as error:
        raise EngineError(f"The DWG converter cannot be started ({error}). See BULKHEAD_DWG_CONVERTER.") from error
    try:
        _wait_for_converter(process, progress)
    finally:
        process.kill()
        process.wait()
    if process.returncode or not target.exists():
        raise BlueprintError(
            "damaged-dwg", f"The DWG could not be converted (exit code {process.returncode}). {ADVICE}"
        )


def _wait_for_converter(process: "subprocess.Popen[bytes]", progress: ProgressReporter) -> None:
    for _ in range(2 * TIMEOUT):
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            progress.keep_alive()
        else:
            return
    raise BlueprintError("damaged-dwg", f"The DWG could not be converted within {TIMEOUT} s. {ADVICE}")
