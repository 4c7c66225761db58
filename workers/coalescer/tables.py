"""The tables of heartbeats as a set that is migrated alone: they may lie in another database than the ledger."""

from pathlib import Path

from tasks.ledger.migrate import Book

BOOK = Book(Path(__file__).parent / "migrations", "heartbeats_version")
