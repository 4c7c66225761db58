"""`bulkhead heartbeats`: the status of the coalescer, and how to reset its position."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from tasks.settings import settings
from workers.heartbeats.database_nodes import DatabaseNodes
from workers.heartbeats.sources import describe
from workers.heartbeats.sources.factory import source_name
from workers.heartbeats.status import CoalescerStatus, read_status, reset_offsets

heartbeats = typer.Typer(help="Show the status of the heartbeat coalescer; reset its position.", no_args_is_help=True)


@heartbeats.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False) -> None:
    """Show the coalescer, its position and its last flush.

    Exit code 3 if no database node can be written to.
    """
    current = read_status(_database_nodes(), source_name(settings()))
    if as_json:
        typer.echo(json.dumps({**asdict(current), "beats_per_second": current.beats_per_second}))
        return
    for line in format_status(current):
        typer.echo(line)


@heartbeats.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Make the coalescer start at the oldest record of the stream.

    This is needed if the stream was recreated, or lost records that were not read yet. Heartbeats that were counted
    before are not counted again. Stop all coalescers first: exit code 2 if one is running.
    """
    if not yes:
        typer.confirm("Forget the position in the stream?", abort=True)
    reset_offsets(_database_nodes(), source_name(settings()))
    typer.echo("The next coalescer starts at the oldest record of the stream.")


def format_status(current: CoalescerStatus) -> list[str]:
    """The status as aligned lines."""
    lines = [
        f"coalescer   {current.lease_owner or 'none is running'}",
        f"machines    {current.machines:,} in {current.plants} plants",
    ]
    if not current.last_offsets or current.flush_age_seconds is None:
        return [*lines, "position    nothing has been written yet"]
    lines.append(
        f"position    {describe(current.last_offsets.values())}, written {current.flush_age_seconds:.1f} s ago, "
        f"{current.lag_seconds or 0:.1f} s behind"
    )
    lines.append(
        f"last flush  {current.flush_rows:,} machines, {current.flush_beats:,} heartbeats "
        f"({current.beats_per_second or 0:,.0f} per second) in a window of {current.window_seconds:.1f} s, "
        f"written in {current.flush_seconds:.2f} s with {current.flush_retries} retries"
    )
    return lines


def _database_nodes() -> DatabaseNodes:
    return DatabaseNodes(settings().heartbeats_database_nodes())
