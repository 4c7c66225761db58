"""`bulkhead reconcile`: what ledger and store do not agree on, and how it is mended."""

import json
import time
from dataclasses import asdict
from typing import Annotated

import typer

from cli.errors import ServiceUnavailable
from tasks.jobs.reconcile import RECHECK_DELAY, Differences, compare, repair
from tasks.settings import settings


def reconcile(
    mended: Annotated[
        bool, typer.Option("--mend", help="Remove what no job refers to, and render again what is gone.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Compare ledger and store, after a crash or a restored backup.

    With --mend it looks twice, half a minute apart, so that what is under way is left alone. Exit code 0 if they agree
    or all was mended, 1 if something is left to do, 3 if ledger or store does not answer.
    """
    from tasks.jobs import LedgerUnavailable, open_ledger
    from tasks.storage import StoreError, open_store

    chosen = settings()
    secret = chosen.secret.get_secret_value()
    try:
        ledger, store = open_ledger(chosen), open_store(chosen.store_url)
        try:
            found = compare(ledger, store, secret)
            if mended and found:
                time.sleep(RECHECK_DELAY)
                found = found.intersection(compare(ledger, store, secret))
                repair(ledger, store, found, time.time())
        finally:
            ledger.database.close()
    except (LedgerUnavailable, StoreError) as error:
        raise ServiceUnavailable(str(error)) from error
    typer.echo(json.dumps({**asdict(found), "mended": mended}) if as_json else format_differences(found, mended=mended))
    if found.unrecoverable or (found and not mended):
        raise typer.Exit(1)


def format_differences(found: Differences, *, mended: bool) -> str:
    """The differences in words."""
    if not found:
        return "Ledger and store agree."
    removed, again = ("removed", "rendered again") if mended else ("to remove", "to render again")
    lines = [
        *(f"{prefix}: outputs of no job, {removed}" for prefix in found.orphaned_outputs),
        *(f"{key}: drawing of no job, {removed}" for key in found.orphaned_sources),
        *(f"{job}: its outputs are gone, {again}" for job in found.rerenderable),
        *(
            f"{job}: its outputs and its drawing are gone; restore them or remove the job"
            for job in found.unrecoverable
        ),
    ]
    return "\n".join([*lines, *([] if mended else ["Mend it with `bulkhead reconcile --mend`."])])
