"""Bringing tables up to date, the ledger's and others (alembic, loaded only here)."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from tasks.database.engine import Database, LedgerUnavailable


@dataclass(frozen=True)
class MigrationSet:
    """Tables that are migrated together: the folder of their scripts, and the table that knows the version."""

    scripts: Path
    version_table: str


LEDGER_MIGRATIONS = MigrationSet(Path(__file__).parent / "migrations", "alembic_version")

# Seconds that one process waits while another one migrates.
LOCK_TIMEOUT = 60


class SchemaOutdated(Exception):
    """The tables in the database are not those of this version. Run `bulkhead migrate`."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def migrate(database: Database, migrations: MigrationSet = LEDGER_MIGRATIONS) -> None:
    """Create or upgrade the tables. Processes that try at the same time wait for each other.

    Raises LedgerUnavailable when the database does not answer.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations.scripts).replace("%", "%%"))
    # An index over a large table takes minutes. Who gives up meanwhile leaves a table behind that is of no version.
    unhurried = Database(database.engine.url, with_timeout=False)
    try:
        with _connected(unhurried) as connection, _migration_lock(connection):
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    finally:
        unhurried.close()


def check_migrated(database: Database, migrations: MigrationSet = LEDGER_MIGRATIONS) -> None:
    """Raises LedgerOutdated unless the tables are those of this version."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with _connected(database) as connection:
        present = MigrationContext.configure(
            connection, opts={"version_table": migrations.version_table}
        ).get_current_revision()
    if present != ScriptDirectory(migrations.scripts).get_current_head():
        raise SchemaOutdated


@contextmanager
def _connected(database: Database) -> Iterator[Connection]:
    from sqlalchemy.exc import OperationalError

    try:
        connection = database.engine.connect()
    except OperationalError as error:
        raise LedgerUnavailable(error.orig) from error
    with connection:
        yield connection


@contextmanager
def _migration_lock(connection: Connection) -> Iterator[None]:
    """Keep other migrations out: neither database makes DDL of two processes safe."""
    if connection.dialect.name == "sqlite":
        with Path(f"{connection.engine.url.database}.migration").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        return
    taken = connection.execute(text("SELECT GET_LOCK('bulkhead-migration', :timeout)"), {"timeout": LOCK_TIMEOUT})
    if taken.scalar() != 1:
        raise LedgerUnavailable("another migration holds the lock")
    connection.commit()
    try:
        yield
    finally:
        connection.execute(text("SELECT RELEASE_LOCK('bulkhead-migration')"))
