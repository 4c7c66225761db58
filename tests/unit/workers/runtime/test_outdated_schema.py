"""A worker that is newer than the tables of the ledger."""

import time
from pathlib import Path

import pytest

from tasks.jobs import SchemaOutdated, open_ledger
from tasks.settings import Settings
from workers.runtime.attempt import wait_for_ledger


def test_given_tables_that_are_not_migrated_then_the_worker_does_not_wait_for_them(tmp_path: Path) -> None:
    ledger = open_ledger(Settings(ledger_url=f"sqlite:///{tmp_path}/ledger.db"))
    started_at = time.monotonic()

    with pytest.raises(SchemaOutdated, match="Run `bulkhead migrate`"):
        wait_for_ledger(lambda: ledger.jobs.find("0b9a3c1e-6c43-4c05-9a65-5d2e3b1f7a10"))

    assert time.monotonic() - started_at < 5
    ledger.database.close()
