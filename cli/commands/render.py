"""`bulkhead render FILE`: one render on this machine, in the same sandbox as a worker's, without a broker."""

# ruff: noqa: ARG001 - flags are read from typer's context, which knows which of them were typed

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.commands.plan import AsJson, Blueprint, Width
from cli.errors import as_json as error_as_json
from cli.sandbox import find_missing_controls
from tasks.errors import BulkheadError, Conflict, JobFailed
from tasks.plan import Plan, check_memory_limit
from tasks.plan import plan as estimate
from tasks.renders import RenderOptions
from tasks.settings import Settings, settings
from tasks.storage import MANIFEST
from tasks.utils.files import sha256_of, temporary_directory
from tasks.utils.units import format_bytes
from workers.render.errors import BlueprintError
from workers.render.sandboxed import ZYGOTE, RenderRequest, render_sandboxed
from workers.sandbox import reports
from workers.sandbox.causes import Cause
from workers.sandbox.runner import BodyFailed, ExitInfo, Outcome, ProcessDied, SandboxJob, run
from workers.sandbox.watch import Limits
from workers.sandbox.zygote import Zygote

# The outputs of a render. A directory with nothing else in it may be replaced by the next render.
OUTPUT_NAMES = frozenset({MANIFEST, "preview.webp", "preview.png", "layers", "tiles.dzi", "tiles_files"})

ADVICE = {
    Cause.OUT_OF_MEMORY: "Ask for a smaller --width, split the drawing, or raise BULKHEAD_MEMORY_LIMIT.",
    Cause.TIME_LIMIT: "Ask for a smaller --width, split the drawing, or raise BULKHEAD_RENDER_TIME_LIMIT.",
    Cause.HUNG: "Export the drawing again and retry; --debug shows the output of the native code.",
    Cause.QUOTA: "Ask for a smaller --width, split the drawing, or raise BULKHEAD_RENDER_DISK_LIMIT.",
    Cause.STARVED: "The drawing is not the cause. Repeat the command when the machine is less busy.",
    Cause.CRASH: "Export the drawing again and retry; --debug shows the output of the native code.",
    Cause.KILLED: "The drawing is not the cause. Repeat the command.",
    Cause.LEDGER_UNAVAILABLE: "The drawing is not the cause. Repeat the command.",
    Cause.ERROR: "Repeat the command with --debug to see where the error occurred.",
}

Out = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="DIR", file_okay=False, help="Output directory; it is created, or replaced."),
]


def render(
    context: typer.Context,
    file: Blueprint,
    out: Out,
    width: Width = 2048,
    background: options.Background = "light",
    layout: options.Layout = "",
    page: options.Page = 1,
    dpi: options.Dpi = 0,
    scale: options.Scale = 1,
    region: options.Region = "",
    layers: options.Layers = "",
    line_weight: options.LineWeight = 100,
    format: options.Format = "webp",  # noqa: A002 - the option's name
    tiles: options.Tiles = False,
    layer_tiles: options.LayerTiles = False,
    tile_layer: options.TileLayer = -1,
    line_work: options.LineWork = False,
    preset: options.Preset = "",
    as_json: AsJson = False,
) -> None:
    """Render FILE into layered WebP in DIR, on this machine, without a server or a broker.

    Exit code 0 when done, 1 if the render failed, 2 if FILE cannot be rendered or DIR holds other files, 3 if this
    machine lacks something that rendering needs.

    Example: bulkhead render floorplan.dxf --out floorplan --width 4096 --background dark
    """
    current = settings()
    try:
        chosen = options.options_from_context(context, preset, current)
        planned = _plan(file, chosen, current)
        with _atomic_output_directory(out) as folder:
            exit_info = _render(file, folder, chosen, planned, current)
    except BulkheadError as error:
        if as_json:
            typer.echo(json.dumps(error_as_json(error)))
        raise
    _print_result(out, planned, exit_info, as_json=as_json)


class OutputDirectoryInUse(Conflict):
    """The output directory cannot be replaced."""

    code = "output-directory-in-use"


class RenderFailed(JobFailed):
    """The render ended without outputs. `code` is the cause of death, or the code that the renderer reported."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def _plan(file: Path, chosen: RenderOptions, current: Settings) -> Plan:
    planned = estimate(file, file.name, width=chosen.width, tiles=chosen.tiles, page=chosen.page)
    check_memory_limit(planned, current.memory_limit)
    return planned


@contextmanager
def _atomic_output_directory(out: Path) -> Iterator[Path]:
    """An empty directory, whose `out` replaces `out` in one step if the block succeeds. It is removed in any case."""
    if out.exists() and {entry.name for entry in out.iterdir()} - OUTPUT_NAMES:
        raise OutputDirectoryInUse(
            f"{out} holds files that are not outputs of a render. Choose another directory for --out."
        )
    target = out.resolve()
    if target == Path.cwd():
        raise OutputDirectoryInUse(
            "--out is the current directory, which would be replaced. Choose another one, such as ./drawing."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with temporary_directory(target.parent, ".bulkhead-") as work:
        yield work
        if target.exists():
            target.rename(work / "old")
        (work / "out").rename(target)


def _render(file: Path, work: Path, chosen: RenderOptions, planned: Plan, current: Settings) -> ExitInfo:
    """Render in the sandbox. Raises RenderFailed with the explanation, EngineError and SandboxUnavailable."""
    limits = Limits(
        memory=current.memory_limit,
        cpu=current.render_time_limit,
        idle=current.render_idle_limit,
        wall=current.render_wall_limit,
        disk=current.render_disk_limit,
    )
    without = find_missing_controls(required=current.requires_sandbox)
    zygote = Zygote(replace(ZYGOTE, shows_stderr=bool(os.environ.get("BULKHEAD_DEBUG")), without=without))
    zygote.start()  # it loads the engine while the file is read
    last = reports.Progress(percent=0, stage="")
    exits: list[ExitInfo] = []
    with _progress_bar() as update:

        def on_progress(progress: reports.Progress) -> None:
            nonlocal last
            last = progress
            update(progress)

        def run_in_sandbox(job: SandboxJob) -> Outcome:
            outcome = run(zygote, replace(job, niceness=current.child_niceness), limits, on_progress=on_progress)
            exits.append(outcome.exit_info)
            return outcome

        try:
            request = RenderRequest(file, chosen, planned, sha256_of(file), current.dwg_converter)
            render_sandboxed(run_in_sandbox, request, work)
        except ProcessDied as error:
            story = explain_death(error, last, current.memory_limit)
            raise RenderFailed(f"{story} {ADVICE[error.death.cause]}", error.death.cause) from error
        except BodyFailed as error:
            cause = Cause.OUT_OF_MEMORY if error.code == Cause.OUT_OF_MEMORY else Cause.ERROR
            raise RenderFailed(f"{error.message} {ADVICE[cause]}", error.code) from error
        except BlueprintError as error:
            raise RenderFailed(error.message, error.code) from error
        finally:
            zygote.close()
    return exits[-1]


def explain_death(died: ProcessDied, last: reports.Progress, memory_limit: int) -> str:
    """How the render process died, in two sentences: the cause, then stage, progress and memory."""
    stage = f"in stage {last.stage}" if last.stage else "starting"
    layer = f", layer {last.layer}" if last.layer else ""
    seconds, resident = died.exit_info.seconds, format_bytes(died.exit_info.resident)
    return (
        f"The render failed after {seconds:.1f} s. {died.death.explanation} It was {stage}{layer}, "
        f"{last.percent} % done, and used {resident} of {format_bytes(memory_limit)}."
    )


@contextmanager
def _progress_bar() -> Iterator[Callable[[reports.Progress], None]]:
    """Show progress on standard error, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=100)

        def update(progress: reports.Progress) -> None:
            bar.update(task, completed=progress.percent, description=f"{progress.stage} {progress.layer}".rstrip())

        yield update


def _print_result(out: Path, planned: Plan, exit_info: ExitInfo, *, as_json: bool) -> None:
    manifest = json.loads((out / MANIFEST).read_text())
    visible = [layer for layer in manifest["layers"] if not layer["empty"]]
    if as_json:
        result = {
            "out": str(out),
            "manifest": str(out / MANIFEST),
            "preview": str(out / manifest["preview"]["file"]),
            "layers": [str(out / layer["file"]) for layer in visible],
            "warnings": manifest["warnings"],
            "seconds": round(exit_info.seconds, 3),
            "peak_bytes": exit_info.peak,
            "planned": {"seconds": planned.seconds, "peak_bytes": planned.peak_bytes},
        }
        typer.echo(json.dumps(result))
        return
    preview = manifest["preview"]
    typer.echo(f"{out / preview['file']}  {preview['width']} x {preview['height']} pixels")
    typer.echo(f"{out / 'layers'}  {len(visible)} of {len(manifest['layers'])} layers are not empty")
    typer.echo(f"{out / MANIFEST}  in {exit_info.seconds:.1f} s, peak memory {format_bytes(exit_info.peak)}")
    for warning in manifest["warnings"]:
        typer.echo(f"Note: {warning['message']}", err=True)
