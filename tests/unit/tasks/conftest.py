"""A ledger and a store of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tasks.database.migrate import migrate
from tasks.jobs import Ledger, open_ledger
from tasks.settings import Settings
from tasks.storage import Store, open_store


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty one on SQLite."""
    ledger = open_ledger(Settings(ledger_url=SecretStr(f"sqlite:///{tmp_path}/ledger.db")))
    migrate(ledger.database)
    yield ledger
    ledger.database.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty one in a directory."""
    return open_store(str(tmp_path / "store"))
