"""A worker context with a real SQLite ledger."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tasks.database.migrate import migrate
from tasks.jobs import open_ledger
from tasks.settings import Settings
from tasks.storage import open_store
from tests.unit.workers.runtime.attempts import FakePublisher
from workers.runtime.worker_context import WorkerContext
from workers.sandbox.process_identity import current_owner


@pytest.fixture
def context(tmp_path: Path) -> Iterator[WorkerContext]:
    """Its own ledger, store and directory."""
    settings = Settings(
        ledger_url=SecretStr(f"sqlite:///{tmp_path}/ledger.db"),
        store_url=str(tmp_path / "store"),
        var=tmp_path / "var",
        lease=1,
    )
    ledger = open_ledger(settings)
    migrate(ledger.database)
    yield WorkerContext(settings, ledger, open_store(settings.store_url), FakePublisher(), current_owner())
    ledger.database.close()
