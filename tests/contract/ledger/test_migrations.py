"""Migrations of the ledger."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from tasks.database import engine as database_module
from tasks.database.errors import SchemaOutdated
from tasks.database.migrate import check_migrated, migrate
from tasks.database.schema import metadata
from tasks.jobs import (
    Ledger,
)
from tests.contract.ledger.support import (
    add_job,
    find,
)
from tests.services.mariadb import MariaDb

ROOT = Path(__file__).resolve().parents[3]


def test_an_empty_database_is_migrated_and_migrating_again_changes_nothing(
    url: str, open_at: Callable[[str], Ledger]
) -> None:
    ledger = open_at(url)
    with pytest.raises(SchemaOutdated, match=r"^The tables in the database do not match this version of Bulkhead"):
        check_migrated(ledger.database)

    migrate(ledger.database)
    job = add_job(ledger)
    migrate(ledger.database)

    check_migrated(ledger.database)
    assert find(ledger, job) == job


def test_given_the_umask_of_a_group_when_a_sqlite_ledger_is_created_then_its_members_can_write_it(
    tmp_path: Path,
) -> None:
    before = os.umask(0o007)
    try:
        database = database_module.Database(f"sqlite:///{tmp_path}/ledger/ledger.db")
        migrate(database)
        with database.connect():
            files = {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "ledger").glob("*.db*")}
        database.close()
    finally:
        os.umask(before)

    assert files["ledger.db"] == files["ledger.db-wal"] == files["ledger.db-shm"] == "0o660"


def test_given_4_processes_that_migrate_at_the_same_time_then_all_succeed(url: str) -> None:
    script = (
        "import os\n"
        "from tasks.database.engine import Database\n"
        "from tasks.database.migrate import check_migrated, migrate\n"
        "database = Database(os.environ['BULKHEAD_LEDGER_URL']); migrate(database); check_migrated(database)"
    )
    environment = {**os.environ, "BULKHEAD_LEDGER_URL": url, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", script], env=environment, stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]

    assert [process.communicate(timeout=60)[1] for process in processes] == [""] * 4
    assert [process.returncode for process in processes] == [0] * 4


@pytest.mark.service
def test_given_another_migration_that_exceeds_the_timeout_then_migrate_waits_for_it(
    mariadb: MariaDb, open_at: Callable[[str], Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = mariadb.fresh_database()
    other = open_at(url).database.engine
    monkeypatch.setattr(database_module, "IO_TIMEOUT", 1)
    ledger = open_at(url)

    with other.connect() as connection:
        connection.execute(text("SELECT GET_LOCK('bulkhead-migration', 0)"))
        migrating = threading.Thread(target=migrate, args=(ledger.database,))
        migrating.start()
        migrating.join(2)
        assert migrating.is_alive()
        connection.execute(text("SELECT RELEASE_LOCK('bulkhead-migration')"))
    migrating.join()

    check_migrated(ledger.database)


def test_the_migrations_create_exactly_the_tables_of_the_schema(ledger: Ledger) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with ledger.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


@pytest.mark.service
def test_mariadb_compares_ids_and_names_byte_by_byte(mariadb: MariaDb, open_at: Callable[[str], Ledger]) -> None:
    ledger = open_at(mariadb.fresh_database())
    migrate(ledger.database)
    query = text(
        "SELECT DISTINCT table_collation FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND table_name IN ('jobs', 'attempts', 'idempotency_keys')"
    )

    with ledger.database.engine.connect() as connection:
        assert connection.execute(query).scalars().all() == ["utf8mb4_bin"]
