"""`bulkhead migrate`: bring the tables of ledger and heartbeats up to date."""

import typer

from cli.errors import ServiceUnavailable
from tasks.settings import settings


def migrate() -> None:
    """Create or upgrade the tables of ledger and heartbeats. Safe to run again, and from several hosts at once.

    Exit code 0 when they are up to date, 3 if the database does not answer.
    """
    from tasks.database.migrate import migrate as upgrade
    from tasks.jobs import LedgerUnavailable, open_ledger
    from workers.heartbeats.migrate import migrate_tables

    here = settings()
    database = open_ledger(here).database
    try:
        upgrade(database)
        migrate_tables(here.heartbeats_database_nodes())
    except LedgerUnavailable as error:
        raise ServiceUnavailable(str(error)) from error
    finally:
        database.close()
    typer.echo("All tables are up to date.")
