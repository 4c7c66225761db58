"""Both ledgers: SQLite in a file and a real MariaDB server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.database.migrate import migrate
from tasks.jobs import (
    Ledger,
    open_ledger,
)
from tasks.settings import Settings
from tests.contract.ledger.support import MAX_CRASHES
from tests.services.mariadb import MariaDb


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.service)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    mariadb: MariaDb = request.getfixturevalue("mariadb")
    return mariadb.fresh_database()


@pytest.fixture
def open_at() -> Iterator[Callable[[str], Ledger]]:
    """Opens ledgers and closes them after the test."""
    opened: list[Ledger] = []

    def open_one(url: str) -> Ledger:
        ledger = open_ledger(Settings(ledger_url=url, max_crashes=MAX_CRASHES))
        opened.append(ledger)
        return ledger

    yield open_one
    for ledger in opened:
        ledger.database.close()


@pytest.fixture
def ledger(url: str, open_at: Callable[[str], Ledger]) -> Ledger:
    """A migrated, empty ledger."""
    ledger = open_at(url)
    migrate(ledger.database)
    return ledger
