"""`bulkhead heartbeats`: how the coalescer does, and how to start it over."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from cli.errors import BadInput, ServiceUnavailable
from tasks.settings import settings
from workers.heartbeats.database_nodes import DatabaseNodes, NoWritableNode
from workers.heartbeats.sources import describe
from workers.heartbeats.sources.factory import source_name
from workers.heartbeats.status import CoalescerStatus, LeaseHeld, read_status
from workers.heartbeats.status import reset_offsets as start_over

heartbeats = typer.Typer(help="See how heartbeats are coalesced; start over.", no_args_is_help=True)


@heartbeats.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False) -> None:
    """Tell who is at work, up to where the stream is in the table, and how the last flush went."""
    try:
        found = read_status(_database_nodes(), source_name(settings()))
    except NoWritableNode as error:
        raise ServiceUnavailable(str(error)) from error
    if as_json:
        typer.echo(json.dumps({**asdict(found), "beats_per_second": found.beats_per_second}))
        return
    for line in format_status(found):
        typer.echo(line)


@heartbeats.command()
def reset(yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Let the coalescer begin with the oldest record of the stream: after the stream was made anew, or had a gap.

    Beats that were counted before are not counted again.
    """
    if not yes:
        typer.confirm("Forget up to where the stream was read?", abort=True)
    try:
        start_over(_database_nodes(), source_name(settings()))
    except LeaseHeld as error:
        raise BadInput(str(error)) from error
    except NoWritableNode as error:
        raise ServiceUnavailable(str(error)) from error
    typer.echo("The next coalescer begins with the oldest record of the stream.")


def format_status(found: CoalescerStatus) -> list[str]:
    """The status in words."""
    said = [
        f"coalescer   {found.lease_owner or 'none is at work'}",
        f"machines    {found.machines:,} in {found.plants} plants",
    ]
    if not found.last_offsets or found.flush_age_seconds is None:
        return [*said, "position    nothing is written yet"]
    said.append(
        f"position    {describe(found.last_offsets.values())}, written {found.flush_age_seconds:.1f} s ago, {found.lag_seconds or 0:.1f} s late"
    )
    said.append(
        f"last flush  {found.flush_rows:,} machines, {found.flush_beats:,} beats ({found.beats_per_second or 0:,.0f} a second) of "
        f"{found.window_seconds:.1f} s, in {found.flush_seconds:.2f} s with {found.flush_retries} retries"
    )
    return said


def _database_nodes() -> DatabaseNodes:
    return DatabaseNodes(settings().heartbeats_database_nodes())
