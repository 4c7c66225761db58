"""The errors of the database layer, and which failures of a database are taken for which of them."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tasks.errors import ServiceUnavailable

# MariaDB: deadlock, lock wait timeout. Nothing was written, so the transaction may simply run again.
RETRYABLE = frozenset({1213, 1205})

# MariaDB: the server cannot serve statements now. Too many connections, Galera node not ready, shutting down, network
# errors, read-only, disk full, statement timeout, connection killed. Lost connections are found by SQLAlchemy.
UNAVAILABLE = frozenset({1021, 1040, 1047, 1053, 1114, 1158, 1159, 1160, 1161, 1290, 1317, 1836, 1927, 1969})

# MariaDB: unknown table, unknown column.
SCHEMA_MISMATCH = frozenset({1146, 1054})

# The same for SQLite, by the primary result code. `SQLITE_ERROR` covers wrong statements too; only its text differs.
SQLITE_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    }
)
SQLITE_SCHEMA_MISMATCH = ("no such table", "no such column", "has no column named")


class LedgerError(ServiceUnavailable):
    """The ledger cannot be used."""

    def __init__(self, reason: object = "") -> None:
        super().__init__(f"{self.__doc__} ({reason})" if reason else None)


class LedgerUnavailable(LedgerError):
    """The ledger's database does not answer. Check BULKHEAD_LEDGER_URL and the server, or run `bulkhead doctor`."""

    code = "ledger-unavailable"


class SchemaOutdated(LedgerError):
    """The tables in the database do not match this version of Bulkhead. Run `bulkhead migrate`."""

    code = "schema-outdated"
    transient = False


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise LedgerUnavailable for failures of connection or server, SchemaOutdated for unknown tables or columns.

    IntegrityError and DataError pass: the caller knows what they mean. Any other error means that a statement is wrong.
    It passes too, so that the bug shows at once instead of being taken for an outage.
    """
    try:
        yield
    except (IntegrityError, DataError):
        raise
    except PoolTimeout as error:
        raise LedgerUnavailable("every connection is busy") from error
    except DBAPIError as error:
        if is_retryable(error) or is_unavailable(error):
            raise LedgerUnavailable(error.orig) from error
        if is_schema_mismatch(error):
            raise SchemaOutdated(error.orig) from error
        raise


def is_retryable(error: BaseException) -> bool:
    """Whether the transaction lost against another one and may run again."""
    return isinstance(error, DBAPIError) and _mariadb_code(error) in RETRYABLE


def is_unavailable(error: DBAPIError) -> bool:
    """Whether the connection or the server failed, rather than the statement."""
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error.orig) in SQLITE_UNAVAILABLE
    return error.connection_invalidated or _mariadb_code(error) in UNAVAILABLE


def is_schema_mismatch(error: DBAPIError) -> bool:
    """Whether a table or a column does not exist."""
    if isinstance(error.orig, sqlite3.Error):
        return any(text in str(error.orig) for text in SQLITE_SCHEMA_MISMATCH)
    return _mariadb_code(error) in SCHEMA_MISMATCH


def is_busy(error: DBAPIError) -> bool:
    """Whether another connection is writing to the SQLite database."""
    return isinstance(error.orig, sqlite3.Error) and _sqlite_code(error.orig) == sqlite3.SQLITE_BUSY


def _mariadb_code(error: DBAPIError) -> object:
    return error.orig.args[0] if error.orig and error.orig.args else None


def _sqlite_code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF  # without the bits of the extended code
