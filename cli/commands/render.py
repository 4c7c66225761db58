"""`bulkhead render FILE`: one render on this machine, without broker or server, in the same fenced child."""

# ruff: noqa: ARG001 - flags are read from typer's context, which knows those that were typed

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from cli import options
from cli.commands.plan import AsJson, Blueprint, Width
from cli.errors import BadInput, CommandError, JobFailed, ServiceUnavailable
from cli.numbers import mebibytes
from tasks.plan import Plan, PlanError, check_memory_limit
from tasks.plan import plan as estimate
from tasks.renders import RenderOptions
from tasks.settings import Settings, settings
from tasks.storage import MANIFEST
from workers.crash.causes import Cause
from workers.sandbox.child import ExitInfo, Limits, Report, run

# What a render writes: a directory that holds nothing else may be replaced by the next one.
OUTPUT_NAMES = frozenset({MANIFEST, "preview.webp", "preview.png", "layers", "tiles.dzi", "tiles_files"})

# Exit codes with which the child reports why it left (workers/render/__main__.py).
CANNOT_RENDER = 3

ADVICE = {
    Cause.OUT_OF_MEMORY: "Ask for a smaller --width, split the drawing, or raise BULKHEAD_MEMORY_LIMIT.",
    Cause.TIME_LIMIT: "Ask for a smaller --width, split the drawing, or raise BULKHEAD_RENDER_TIME_LIMIT.",
    Cause.CRASH: "Export the drawing again and retry; with --debug you see what the native code said.",
    Cause.KILLED: "The drawing is not to blame: run it again.",
    Cause.LEDGER_UNAVAILABLE: "The drawing is not to blame: run it again.",
    Cause.ERROR: "Run it again with --debug to see where.",
}

Out = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="DIR", file_okay=False, help="Directory for the result; made, or replaced."),
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
    """Render FILE into layered WebP below DIR, here and now. No server and no broker are needed.

    Exit code 0 when done, 1 if the render failed, 2 if FILE cannot be drawn or DIR is taken, 3 if this machine lacks
    something.

    Example: bulkhead render floorplan.dxf --out floorplan --width 4096 --background dark
    """
    chosen = settings()
    try:
        wanted = options.options_from_context(context, preset, chosen)
        planned = _plan(file, wanted, chosen)
        with _atomic_output_directory(out) as folder:
            ending = _run_render(file, folder, wanted, chosen)
    except CommandError as failure:
        if as_json:
            typer.echo(json.dumps({"error": {"code": failure.code, "detail": failure.message}}))
        raise
    _print_result(out, planned, ending, as_json=as_json)


def _plan(file: Path, wanted: RenderOptions, chosen: Settings) -> Plan:
    try:
        planned = estimate(file, file.name, width=wanted.width, tiles=wanted.tiles, page=wanted.page)
        check_memory_limit(planned, chosen.memory_limit)
    except PlanError as error:
        raise BadInput(error.message, error.code) from error
    return planned


@contextmanager
def _atomic_output_directory(out: Path) -> Iterator[Path]:
    """An empty directory that takes the place of `out` once the block has succeeded, whole or not at all."""
    if out.exists() and {entry.name for entry in out.iterdir()} - OUTPUT_NAMES:
        raise BadInput(f"{out} holds other things than a render. Choose another directory for --out.", "out-taken")
    target = out.resolve()
    if target == Path.cwd():
        raise BadInput(
            "The directory you are in would be replaced. Choose another one for --out, such as ./drawing.", "out-taken"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".bulkhead-", dir=target.parent) as work:
        fresh = Path(work, "fresh")
        fresh.mkdir()
        yield fresh
        if target.exists():
            target.rename(Path(work, "old"))
        fresh.rename(target)


def _run_render(file: Path, folder: Path, wanted: RenderOptions, chosen: Settings) -> ExitInfo:
    """Run the child to its end. Raises Failure with its story if that is not a good one."""
    debug = bool(os.environ.get("BULKHEAD_DEBUG"))
    # -P and our own root: a package that happens to be called `workers` in the current directory is not the engine.
    root = str(Path(__file__).resolve().parents[2])
    argv = [sys.executable, "-P", "-m", "workers.render", str(file.resolve()), str(folder)]
    argv += [wanted.model_dump_json(), str(chosen.child_niceness)]
    last: Report = {}
    with _progress_bar() as show:

        def hear(report: Report) -> None:
            nonlocal last
            last = report
            show(report)

        ending = run(
            argv,
            Limits(memory=chosen.memory_limit, time_limit=chosen.render_time_limit),
            hear,
            environment={**os.environ, "PYTHONPATH": root},
            discard_stderr=not debug,
        )
    if ending.death is None:
        return ending
    if ending.status > 0 and "message" in last:
        kind = ServiceUnavailable if ending.status == CANNOT_RENDER else JobFailed
        advice = f" {ADVICE[Cause.ERROR]}" if last["code"] == "internal-error" else ""
        raise kind(f"{last['message']}{advice}", last["code"])
    raise JobFailed(
        f"{explain_death(ending, last, chosen.memory_limit)} {ADVICE[ending.death.cause]}", ending.death.cause
    )


def explain_death(ending: ExitInfo, last: Report, memory_limit: int) -> str:
    """How the child died, in two sentences: what ended it; where it was, when, and how large."""
    assert ending.death is not None  # noqa: S101 -- only deaths have stories
    stage = f"in stage {last['stage']}" if last.get("stage") else "starting"
    layer = f", layer {last['layer']}" if last.get("layer") else ""
    return (
        f"The render ended after {ending.seconds:.1f} s. {ending.death.explanation} It was {stage}{layer}, "
        f"{last.get('percent', 0)} % done, with {mebibytes(ending.resident)} resident of {mebibytes(memory_limit)} allowed."
    )


@contextmanager
def _progress_bar() -> Iterator[Callable[[Report], None]]:
    """Show reports on standard error if somebody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=100)

        def show(report: Report) -> None:
            if "percent" in report:
                words = f"{report['stage']} {report['layer']}".rstrip()
                bar.update(task, completed=report["percent"], description=words)

        yield show


def _print_result(out: Path, planned: Plan, ending: ExitInfo, *, as_json: bool) -> None:
    manifest = json.loads((out / MANIFEST).read_text())
    drawn = [layer for layer in manifest["layers"] if not layer["empty"]]
    if as_json:
        facts = {
            "out": str(out),
            "manifest": str(out / MANIFEST),
            "preview": str(out / manifest["preview"]["file"]),
            "layers": [str(out / layer["file"]) for layer in drawn],
            "warnings": manifest["warnings"],
            "seconds": round(ending.seconds, 3),
            "peak_bytes": ending.peak,
            "planned": {"seconds": planned.seconds, "peak_bytes": planned.peak_bytes},
        }
        typer.echo(json.dumps(facts))
        return
    preview = manifest["preview"]
    typer.echo(f"{out / preview['file']}  {preview['width']} x {preview['height']} pixels")
    typer.echo(f"{out / 'layers'}  {len(drawn)} of {len(manifest['layers'])} layers have something to see")
    typer.echo(f"{out / MANIFEST}  in {ending.seconds:.1f} s with {mebibytes(ending.peak)}")
    for warning in manifest["warnings"]:
        typer.echo(f"Note: {warning['message']}", err=True)
