"""`bulkhead plan FILE`: what a render would cost, from the file's header."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import BadInput
from cli.numbers import mebibytes
from tasks.plan import Plan, PlanError, check_memory_limit
from tasks.plan import plan as estimate
from tasks.renders import MAX_WIDTH
from tasks.settings import settings

Blueprint = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="The blueprint.")
]
Width = Annotated[int, typer.Option(min=16, max=MAX_WIDTH, help="Longer side of the preview, in pixels.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def plan(file: Blueprint, width: Width = 2048, as_json: AsJson = False) -> None:
    """Tell what rendering FILE would cost, from its header, without decoding it.

    Exit code 0 if it fits into the fence (BULKHEAD_MEMORY_LIMIT), 2 if it does not or cannot be drawn at all.

    Example: bulkhead plan floorplan.dxf --json
    """
    fence = settings().memory_limit
    try:
        planned = estimate(file, file.name, width=width)
    except PlanError as error:
        raise BadInput(error.message, error.code) from error
    fits = planned.peak_bytes <= fence
    if as_json:
        typer.echo(json.dumps({**planned.as_dict(), "memory_limit": fence, "fits": fits}))
    else:
        for name, value in _format_plan(planned):
            typer.echo(f"{name:<8} {value}")
    try:
        check_memory_limit(planned, fence)
    except PlanError as error:
        raise BadInput(error.message, error.code) from error


def _format_plan(planned: Plan) -> list[tuple[str, str]]:
    size = f"{planned.width} x {planned.height} pixels" if planned.width and planned.height else "none of its own"
    return [
        ("format", f"{planned.format} ({planned.media_type})"),
        ("file", f"{planned.size:,} bytes"),
        ("size", size),
        ("pages", str(planned.pages)),
        ("layers", "not counted" if planned.layers is None else str(planned.layers)),
        ("memory", f"about {mebibytes(planned.peak_bytes)}"),
        ("time", f"about {planned.seconds:.1f} s"),
    ]
