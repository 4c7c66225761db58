"""The tables of heartbeats as a set that is migrated alone: they may lie in another database than the ledger."""

from collections.abc import Sequence
from pathlib import Path

from tasks.ledger.database import Database, LedgerUnavailable
from tasks.ledger.migrate import Book, migrate

BOOK = Book(Path(__file__).parent / "migrations", "heartbeats_version")


def make_tables(urls: Sequence[str]) -> None:
    """Create or upgrade the tables through the first node that answers; a cluster's others follow by themselves.

    Raises LedgerUnavailable if none answers.
    """
    for number, url in enumerate(urls, 1):
        database = Database(url)
        try:
            return migrate(database, BOOK)
        except LedgerUnavailable:
            if number == len(urls):
                raise
        finally:
            database.close()
    return None
