"""`bulkhead capacity`: how many workers a lane needs, from the renders that the ledger has seen."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from cli.errors import BadInput, ServiceUnavailable
from cli.numbers import mebibytes
from tasks.jobs.capacity import estimate_service_time, size_workers
from tasks.jobs.routing import memory_limit_of
from tasks.messaging.topology import RENDER, RENDER_QUEUES
from tasks.settings import settings

# Fewer renders say little about how long the next ones will take.
MIN_RENDERS = 30


def capacity(
    rate: Annotated[float, typer.Option(min=1e-6, help="Renders a second at the busiest time.")],
    wait: Annotated[float, typer.Option(min=0, help="Seconds that 99 of 100 of them may wait for a worker.")] = 1.0,
    lane: Annotated[str, typer.Option(help=f"One of {', '.join(RENDER_QUEUES)}.")] = RENDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Tell how many workers a lane needs, from its last renders.

    Exit code 2 if there are too few of them, 3 if the ledger does not answer.

    Example: bulkhead capacity --rate 20 --wait 2 --json
    """
    from tasks.jobs import LedgerUnavailable, open_ledger

    if lane not in RENDER_QUEUES:
        raise BadInput(f"There is no lane '{lane}'. Choose one of {', '.join(RENDER_QUEUES)}.")
    ledger = open_ledger(settings())
    try:
        seconds = ledger.attempts.durations(lane)
    except LedgerUnavailable as error:
        raise ServiceUnavailable(str(error)) from error
    finally:
        ledger.database.close()
    if len(seconds) < MIN_RENDERS:
        raise BadInput(
            f"The ledger has {len(seconds)} finished renders of '{lane}', and {MIN_RENDERS} are the least to compute from. "
            "Render some typical drawings first."
        )
    work = estimate_service_time(seconds)
    crew = size_workers(work, rate, wait)
    memory = crew.workers * memory_limit_of(lane, settings())
    if as_json:
        facts = {"lane": lane, "renders": len(seconds), **asdict(work), **asdict(crew), "memory_bytes": memory}
        typer.echo(json.dumps(facts))
        return
    typer.echo(f"{len(seconds):,} renders of '{lane}' took {work.mean:.2f} s each (variance/mean² {work.scv:.2f}).")
    typer.echo(
        f"{crew.workers:,} workers do {rate:g} a second: {crew.utilization:.0%} busy, 99 of 100 renders wait "
        f"{crew.max_wait:.2f} s at most, fences of {mebibytes(memory)} in all."
    )
