"""`bulkhead migrate`: create or upgrade the tables of the ledger and the heartbeats."""

import typer

from tasks.settings import Settings, settings


def migrate() -> None:
    """Create or upgrade the tables of the ledger and the heartbeats.

    It is safe to run it again, and on several hosts at once. Exit code 0 when all tables are up to date, 3 if a
    database does not answer.
    """
    migrate_all(settings())
    typer.echo("All tables are up to date.")


def migrate_all(current: Settings) -> None:
    """Bring the tables of the ledger and the heartbeats up to date. Raises LedgerUnavailable."""
    from tasks.database.migrate import migrate as migrate_ledger
    from tasks.jobs import open_ledger
    from workers.heartbeats.migrate import migrate_tables

    database = open_ledger(current).database
    try:
        migrate_ledger(database)
        migrate_tables(current.heartbeats_database_nodes())
    finally:
        database.close()
