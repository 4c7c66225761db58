"""`bulkhead plan FILE`: what a render would cost, from the file's header."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tasks.plan import Plan, check_memory_limit
from tasks.plan import plan as estimate
from tasks.renders import MAX_WIDTH
from tasks.settings import settings
from tasks.utils.units import format_bytes

Blueprint = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="The blueprint.")
]
Width = Annotated[int, typer.Option(min=16, max=MAX_WIDTH, help="Longer side of the preview, in pixels.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def plan(file: Blueprint, width: Width = 2048, as_json: AsJson = False) -> None:
    """Estimate the cost of rendering FILE from its header, without decoding it.

    Exit code 0 if the render fits into the memory limit (BULKHEAD_MEMORY_LIMIT), 2 if it does not or FILE cannot be
    rendered at all.

    Example: bulkhead plan floorplan.dxf --json
    """
    memory_limit = settings().memory_limit
    planned = estimate(file, file.name, width=width)
    if as_json:
        fits = planned.peak_bytes <= memory_limit
        typer.echo(json.dumps({**planned.as_dict(), "memory_limit_bytes": memory_limit, "fits": fits}))
    else:
        for name, value in _format_plan(planned):
            typer.echo(f"{name:<8} {value}")
    check_memory_limit(planned, memory_limit)


def _format_plan(planned: Plan) -> list[tuple[str, str]]:
    size = f"{planned.width} x {planned.height} pixels" if planned.width and planned.height else "scalable"
    return [
        ("format", f"{planned.format} ({planned.media_type})"),
        ("file", format_bytes(planned.size)),
        ("size", size),
        ("pages", str(planned.pages)),
        ("layers", "not counted" if planned.layers is None else str(planned.layers)),
        ("memory", f"about {format_bytes(planned.peak_bytes)}"),
        ("time", f"about {planned.seconds:.1f} s"),
    ]
