"""`bulkhead migrate`: bring the ledger's tables up to date."""

import typer

from commands.failures import ServiceMissing
from tasks.settings import settings


def migrate() -> None:
    """Create or upgrade the ledger's tables. Safe to run again, and from several hosts at once.

    Exit code 0 when they are up to date, 3 if the database does not answer.
    """
    from tasks.ledger import LedgerUnavailable, open_ledger
    from tasks.ledger.migrate import migrate as upgrade

    database = open_ledger(settings()).database
    try:
        upgrade(database)
    except LedgerUnavailable as error:
        raise ServiceMissing(str(error)) from error
    finally:
        database.close()
    typer.echo("The ledger is up to date.")
