"""Transactions on the ledger's database: SQLite on a laptop, MariaDB in a plant, with the same behaviour."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from tasks.database.errors import LedgerUnavailable, is_busy, is_retryable, translate_errors
from tasks.utils.retry import Backoff, retrying

T = TypeVar("T")

# Connections that stay open, and those beyond that busy threads of a web tier may open for a moment.
POOL_SIZE = 5
POOL_OVERFLOW = 35

# How long a writer waits for another one, in seconds. SQLite has one writer at a time.
BUSY_TIMEOUT = 10.0
BUSY_RETRY_INTERVAL = 0.002
CONNECT_TIMEOUT = 2
POOL_TIMEOUT = 10
IO_TIMEOUT = 10

# How often a transaction that lost against another one runs again.
MAX_RETRIES = 4

# Used from the second attempt on: it would cost each transaction 40 microseconds.
_retrying = retrying(on=is_retryable, attempts=MAX_RETRIES, backoff=Backoff(initial=0.01, maximum=0.2))


class Database:
    """Runs functions of a connection inside a transaction.

    A transaction that loses against another one runs again, so functions must do nothing but SQL. For the errors see
    `tasks.database.errors.translate_errors`.
    """

    def __init__(self, url: str | URL, *, with_timeout: bool = True) -> None:
        """Without `with_timeout` a statement of MariaDB may take any time."""
        self.engine = _engine(url, IO_TIMEOUT if with_timeout else None)
        # SQLite makes writers wait by sleeping and trying again; the threads of one process can take turns instead.
        self._writers = threading.Lock() if self.engine.dialect.name == "sqlite" else None

    def connect(self) -> Connection:
        """A connection from the pool, outside any transaction. Raises LedgerUnavailable."""
        try:
            with translate_errors():
                return self.engine.connect()
        except DBAPIError as error:  # a wrong password or an unknown database: no statement ran yet
            raise LedgerUnavailable(error.orig) from error

    def read(self, query: Callable[[Connection], T]) -> T:
        """The result of `query`, which must not write."""
        return self._run(query, readonly=True)

    def write(self, change: Callable[[Connection], T]) -> T:
        """The result of `change`, committed.

        Also raises IntegrityError for a row that exists already, and DataError for a value that fits no column.
        """
        return self._run(change, readonly=False)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def _run(self, work: Callable[[Connection], T], *, readonly: bool) -> T:
        with translate_errors():
            try:
                return self._run_once(work, readonly)
            except DBAPIError as error:
                if not is_retryable(error):
                    raise
            result: T = _retrying(self._run_once, work, readonly)
            return result

    def _run_once(self, work: Callable[[Connection], T], readonly: bool) -> T:
        turn: AbstractContextManager[object] = nullcontext() if readonly or not self._writers else self._writers
        with turn, self.connect() as connection:
            connection.execution_options(bulkhead_readonly=readonly)
            with connection.begin():
                return work(connection)


def _engine(url: str | URL, io_timeout: int | None) -> Engine:
    target = make_url(url)
    pool = {"pool_size": POOL_SIZE, "max_overflow": POOL_OVERFLOW, "pool_timeout": POOL_TIMEOUT}
    if target.get_backend_name() == "sqlite":
        if target.database:
            Path(target.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(target, connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False}, **pool)
        if target.database not in (None, "", ":memory:"):
            event.listen(engine, "do_connect", _create_sqlite_file)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(
        target,
        pool_pre_ping=True,
        pool_recycle=300,
        **pool,
        isolation_level="READ COMMITTED",
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT,
            "read_timeout": io_timeout,
            "write_timeout": io_timeout,
            "charset": "utf8mb4",
        },
    )


def _create_sqlite_file(_dialect: object, _record: object, arguments: Any, _options: object) -> None:
    """Create an empty database whose permissions the umask decides; SQLite gives the same to its other files.

    SQLite itself would create a file that only its owner can write, but several users may share a ledger.
    """
    with suppress(OSError):  # it exists; otherwise SQLite reports what is wrong
        os.close(os.open(arguments[0], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would begin transactions by itself, too late and deferred
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Begin a transaction. A writer takes the write lock at once: upgrading a read lock later fails under concurrency.

    The lock is requested every 2 ms. SQLite's own busy handler waits longer and longer, up to 100 ms, so that the
    longest waiter would lose against every newcomer.
    """
    if connection.get_execution_options().get("bulkhead_readonly", False):
        connection.exec_driver_sql("BEGIN")
        return
    deadline = time.monotonic() + BUSY_TIMEOUT
    connection.exec_driver_sql("PRAGMA busy_timeout=0")
    try:
        while not _try_begin_write(connection, last_try=time.monotonic() > deadline):
            time.sleep(BUSY_RETRY_INTERVAL)
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={round(BUSY_TIMEOUT * 1000)}")


def _try_begin_write(connection: Connection, *, last_try: bool) -> bool:
    """Whether the write lock was free. Raises OperationalError if it was not at the last try."""
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except OperationalError as error:
        if last_try or not is_busy(error):
            raise
        return False
    return True
