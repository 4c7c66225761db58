"""DWG: converted to DXF by an external program, which runs in the sandbox like the render itself.

The DXF takes about eight times the DWG's bytes on disk while it is read.
"""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

from workers.render.errors import BlueprintError, EngineError
from workers.sandbox.runner import Outcome, SandboxJob

RunInSandbox = Callable[[SandboxJob], Outcome]

TARGET = "drawing.dxf"

ADVICE = "Save it as DXF (command DXFOUT) and send that."


def convert_dwg(run: RunInSandbox, template: str, source: Path, work: Path) -> Path:
    """Convert the drawing `source` by the command `template`. Returns the DXF, which lies below `work`.

    Raises BlueprintError (`damaged-dwg`), EngineError if the converter is not installed, and ProcessDied.
    """
    target = work.resolve() / TARGET
    command = build_command(template, source.resolve(), target)
    folder = Path(command[0]).resolve().parent  # the program may lie outside the directories of the system
    outcome = run(SandboxJob(entry="", arguments={}, work=work, sources=(source, folder), command=command))
    status = outcome.exit_info.status
    if status == 0 and target.is_file() and not target.is_symlink():
        return target
    if status <= 0:
        outcome.raise_if_dead()
    raise BlueprintError("damaged-dwg", f"The DWG could not be converted (exit code {status}). {ADVICE}")


def build_command(template: str, source: Path, target: Path) -> tuple[str, ...]:
    """Split the command line and replace {source} and {target} by paths. There is no shell, so paths need no quotes.

    Raises EngineError if the program is not installed.
    """
    replacements = {"{source}": str(source), "{target}": str(target)}
    program, *arguments = shlex.split(template)
    path = shutil.which(program)
    if path is None:
        raise EngineError(f"The DWG converter {program} is not installed. See BULKHEAD_DWG_CONVERTER.")
    return (path, *(replacements.get(argument, argument) for argument in arguments))
