"""A render in the sandbox, as the command line and the workers run it: converted, drawn, and its outputs checked."""

import os
import shutil
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tasks.plan import Plan
from tasks.renders import RenderOptions
from tasks.utils.files import remove_tree
from workers.render.errors import BlueprintError, EngineError
from workers.render.manifest import Manifest
from workers.render.sandboxed.conversion import RunInSandbox, convert_dwg
from workers.render.sandboxed.outputs import check_outputs
from workers.sandbox.runner import BodyFailed, Outcome, SandboxJob
from workers.sandbox.zygote import ZygoteOptions

BODY = "workers.render.sandboxed.body:render_body"
SAMPLE_BODY = "workers.render.sandboxed.body:sample_body"
ZYGOTE = ZygoteOptions(
    preload=("workers.render.sandboxed.warm_up:warm_up",), rehearse="workers.render.sandboxed.warm_up:rehearse"
)

# Failures of a body that are not the drawing's: the sandbox or the engine has a bug, or the process ran out of memory.
UNEXPECTED = frozenset({"internal-error", "out-of-memory"})

# What a body may return: see workers.render.sandboxed.residue.
RESIDUE = frozenset({"memory_growth_bytes", "heap_growth_bytes", "pixel_bytes", "spilled_bytes", "descriptor_growth"})
MAX_RESIDUE = 2**63


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """A planned render of the file `source`, whose SHA-256 is `sha256`. `dwg_converter` is the setting."""

    source: Path
    options: RenderOptions
    plan: Plan
    sha256: str
    dwg_converter: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished render: its output directory, its manifest, and what it left behind in its process.

    `sampling` renders the same again to measure what stays on the heap (see workers.runtime.leak_sampling).
    """

    out: Path
    manifest: Manifest
    residue: dict[str, Any]
    sampling: SandboxJob


def render_sandboxed(run: RunInSandbox, request: RenderRequest, work: Path) -> Rendered:
    """Render below the directory `work`, where the outputs of an earlier attempt may lie.

    Raises BlueprintError, EngineError, InvalidOutput, BodyFailed (of the codes `UNEXPECTED`) and ProcessDied.
    """
    out = work.resolve() / "out"
    out.mkdir(exist_ok=True)
    source = _readable(request.source, work)
    if request.plan.format == "dwg":
        source = convert_dwg(run, request.dwg_converter, source, _empty(work / "dwg"))
    arguments = {
        "source": str(source.resolve()),
        "out": str(out),
        "options": request.options.model_dump(mode="json"),
        "plan": request.plan.as_dict(),
        "sha256": request.sha256,
    }
    _empty(work / "tmp")
    job = SandboxJob(BODY, arguments, work=work, sources=(source,))
    residue = value_of(run(job))
    return Rendered(out, check_outputs(out), check_residue(residue), replace(job, entry=SAMPLE_BODY))


def value_of(outcome: Outcome) -> dict[str, Any]:
    """What the body of a render returned. Raises the errors of `render_sandboxed`, except InvalidOutput."""
    try:
        return outcome.value()
    except BodyFailed as failed:
        if failed.code in UNEXPECTED:
            raise
        # The engine is loaded before the drawing is read: after that, the drawing itself may report what it likes.
        if failed.code == EngineError.code and not outcome.has_progress:
            raise EngineError(failed.message) from failed
        raise BlueprintError(failed.code, failed.message) from failed


def _readable(source: Path, work: Path) -> Path:
    """The source, or a copy of it below `work` if only the rights of root make it readable, which a render lacks."""
    if os.geteuid() != 0 or all(_is_permitted(path) for path in (source.resolve(), *source.resolve().parents)):
        return source
    return Path(shutil.copyfile(source, work / f"source{source.suffix}"))


def _is_permitted(path: Path) -> bool:
    """Whether the mode of a file or directory permits root, without further rights, to read it or to pass through."""
    facts = path.stat()
    is_member = facts.st_gid in {os.getegid(), *os.getgroups()}
    shift = 6 if facts.st_uid == 0 else 3 * is_member
    wanted = stat.S_IXOTH if stat.S_ISDIR(facts.st_mode) else stat.S_IROTH
    return bool(facts.st_mode >> shift & wanted)


def check_residue(facts: dict[str, Any]) -> dict[str, Any]:
    """The numbers among the facts that a body returned, as far as they fit into 64 bits."""
    return {
        name: value
        for name, value in facts.items()
        if name in RESIDUE and type(value) is int and abs(value) < MAX_RESIDUE
    }


def _empty(folder: Path) -> Path:
    """The directory without the files of an earlier attempt."""
    remove_tree(folder)
    folder.mkdir()
    return folder
