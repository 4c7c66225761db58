"""`bulkhead capacity`: how many workers a queue needs, computed from the renders in the ledger."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from tasks.errors import InvalidInput
from tasks.jobs.capacity import estimate_service_time, size_workers
from tasks.jobs.routing import memory_limit_of
from tasks.messaging.topology import RENDER, RENDER_QUEUES
from tasks.settings import settings
from tasks.utils.units import format_bytes

# Fewer renders do not predict how long the next ones take.
MIN_RENDERS = 30


def capacity(
    rate: Annotated[float, typer.Option(min=1e-6, help="Peak arrival rate, renders per second.")],
    wait: Annotated[float, typer.Option(min=0, help="Longest acceptable wait of 99 % of the renders, seconds.")] = 1.0,
    queue: Annotated[str, typer.Option(help=f"One of {', '.join(RENDER_QUEUES)}.")] = RENDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Compute how many workers a queue needs, from its recent renders.

    Exit code 2 if there are too few renders, 3 if the ledger does not answer.

    Example: bulkhead capacity --rate 20 --wait 2 --json
    """
    from tasks.jobs import open_ledger

    if queue not in RENDER_QUEUES:
        raise InvalidInput(f"There is no queue '{queue}'. Choose one of {', '.join(RENDER_QUEUES)}.")
    ledger = open_ledger(settings())
    try:
        seconds = ledger.attempts.durations(queue)
    finally:
        ledger.database.close()
    if len(seconds) < MIN_RENDERS:
        raise InvalidInput(
            f"The ledger has {len(seconds)} finished renders of '{queue}'; at least {MIN_RENDERS} are needed. "
            "Render some typical drawings first."
        )
    service_time = estimate_service_time(seconds)
    pool = size_workers(service_time, rate, wait)
    memory = pool.workers * memory_limit_of(queue, settings())
    if as_json:
        result = {"queue": queue, "renders": len(seconds), **asdict(service_time), **asdict(pool)}
        typer.echo(json.dumps({**result, "memory_bytes": memory}))
        return
    typer.echo(
        f"{len(seconds):,} renders of '{queue}' took {service_time.mean:.2f} s on average "
        f"(variance divided by the squared mean: {service_time.scv:.2f})."
    )
    typer.echo(
        f"{rate:g} renders per second need {pool.workers:,} workers, which are busy {pool.utilization:.0%} of the "
        "time. 99 % of the renders "
        f"wait at most {pool.max_wait:.2f} s. The memory limits add up to {format_bytes(memory)}."
    )
