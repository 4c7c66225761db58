"""Migrations of the ledger's tables and of others (alembic, loaded only here)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from tasks.database.engine import Database
from tasks.database.errors import LedgerUnavailable, SchemaOutdated, translate_errors
from tasks.utils.files import lock_file


@dataclass(frozen=True)
class MigrationSet:
    """Tables that are migrated together: the directory of their scripts, and the table that records their version."""

    scripts: Path
    version_table: str


LEDGER_MIGRATIONS = MigrationSet(Path(__file__).parent / "migrations", "alembic_version")

# Seconds that a process waits while another one migrates.
LOCK_TIMEOUT = 60


def migrate(database: Database, migrations: MigrationSet = LEDGER_MIGRATIONS) -> None:
    """Create or upgrade the tables. Processes that migrate at the same time wait for each other.

    Raises LedgerUnavailable.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations.scripts).replace("%", "%%"))
    # An index on a large table takes minutes. A timeout would leave a table behind that belongs to no version.
    patient = Database(database.engine.url, with_timeout=False)
    try:
        with patient.connect() as connection, translate_errors(), _migration_lock(connection):
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    finally:
        patient.close()


def check_migrated(database: Database, migrations: MigrationSet = LEDGER_MIGRATIONS) -> None:
    """Raise SchemaOutdated unless the tables are those of this version. Raises LedgerUnavailable."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with database.connect() as connection, translate_errors():
        present = MigrationContext.configure(
            connection, opts={"version_table": migrations.version_table}
        ).get_current_revision()
    if present != ScriptDirectory(migrations.scripts).get_current_head():
        raise SchemaOutdated


@contextmanager
def _migration_lock(connection: Connection) -> Iterator[None]:
    """Exclude other migrations: neither database makes DDL of two processes safe."""
    if connection.dialect.name == "sqlite":
        with lock_file(Path(f"{connection.engine.url.database}.migration")):
            yield
        return
    acquired = connection.execute(text("SELECT GET_LOCK('bulkhead-migration', :timeout)"), {"timeout": LOCK_TIMEOUT})
    if acquired.scalar() != 1:
        raise LedgerUnavailable("another migration holds the lock")
    connection.commit()
    try:
        yield
    finally:
        connection.execute(text("SELECT RELEASE_LOCK('bulkhead-migration')"))
