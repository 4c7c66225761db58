"""Migrates the tables of heartbeats, which may live in another database than the ledger."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tasks.database.engine import Database
from tasks.database.errors import LedgerUnavailable
from tasks.database.migrate import MigrationSet, check_migrated, migrate

MIGRATIONS = MigrationSet(Path(__file__).parent / "migrations", "heartbeats_version")


def migrate_tables(urls: Sequence[str]) -> None:
    """Create or upgrade the tables through the first node that answers; a cluster replicates them.

    Raises LedgerUnavailable if no node answers.
    """
    _with_first(urls, lambda database: migrate(database, MIGRATIONS))


def check_tables(urls: Sequence[str]) -> None:
    """Raises SchemaOutdated unless the tables are those of this version, LedgerUnavailable if no node answers."""
    _with_first(urls, lambda database: check_migrated(database, MIGRATIONS))


def _with_first(urls: Sequence[str], work: Callable[[Database], None]) -> None:
    for number, url in enumerate(urls, 1):
        database = Database(url)
        try:
            return work(database)
        except LedgerUnavailable:
            if number == len(urls):
                raise
        finally:
            database.close()
    return None
