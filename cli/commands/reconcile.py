"""`bulkhead reconcile`: find the differences between ledger and store, and repair them."""

import json
import time
from dataclasses import asdict
from typing import Annotated

import typer

from tasks.jobs.reconcile import RECHECK_DELAY, Differences, compare
from tasks.jobs.reconcile import repair as repair_differences
from tasks.settings import settings


def reconcile(
    repair: Annotated[
        bool, typer.Option("--repair", help="Remove files that no job refers to, and render lost outputs again.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Compare ledger and store, after a crash or a restored backup.

    With --repair it compares twice, half a minute apart, and leaves work in progress alone. Exit code 0 if ledger and
    store agree or everything was repaired, 1 if differences remain, 3 if the ledger or the store does not answer.
    """
    from tasks.jobs import open_ledger
    from tasks.storage import open_store

    current = settings()
    secret = current.artifact_secret.get_secret_value()
    ledger, store = open_ledger(current), open_store(current.store_url)
    try:
        differences = compare(ledger, store, secret)
        if repair and differences:
            time.sleep(RECHECK_DELAY)
            differences = differences.intersection(compare(ledger, store, secret))
            repair_differences(ledger, store, differences, time.time())
    finally:
        ledger.database.close()
    if as_json:
        typer.echo(json.dumps({**asdict(differences), "repaired": repair}))
    else:
        typer.echo(format_differences(differences, repaired=repair))
    if differences.unrecoverable or (differences and not repair):
        raise typer.Exit(1)


def format_differences(differences: Differences, *, repaired: bool) -> str:
    """The differences as sentences."""
    if not differences:
        return "Ledger and store agree."
    removed, rendered = ("removed", "rendered again") if repaired else ("to remove", "to render again")
    lines = [
        *(f"{prefix}: outputs without a job, {removed}" for prefix in differences.orphaned_outputs),
        *(f"{key}: drawing without a job, {removed}" for key in differences.orphaned_sources),
        *(f"{job}: its outputs are missing, {rendered}" for job in differences.rerenderable),
        *(
            f"{job}: its outputs and its drawing are missing; restore them or remove the job"
            for job in differences.unrecoverable
        ),
    ]
    return "\n".join([*lines, *([] if repaired else ["Run `bulkhead reconcile --repair` to repair them."])])
