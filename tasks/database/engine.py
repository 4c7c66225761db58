"""The way to the ledger's database: SQLite on a laptop, MariaDB in a plant, one behaviour."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

T = TypeVar("T")

# Connections kept open, and those beyond that busy threads of a web tier may open for a moment.
POOL_SIZE = 5
POOL_OVERFLOW = 35

# How long a writer waits for another one, in seconds. SQLite has one writer at a time.
BUSY_TIMEOUT = 10.0
BUSY_RETRY_INTERVAL = 0.002
CONNECT_TIMEOUT = 2
POOL_TIMEOUT = 10
IO_TIMEOUT = 10

# MariaDB: deadlock, lock wait time-out. Nothing was written; the transaction may simply run again.
RETRYABLE = frozenset({1213, 1205})
MAX_TRIES = 5


class LedgerUnavailable(Exception):
    """The ledger's database does not answer. Check BULKHEAD_LEDGER_URL and the server, or run `bulkhead doctor`."""

    def __init__(self, reason: object = "") -> None:
        super().__init__(f"{self.__doc__} ({reason})" if reason else self.__doc__)


class Database:
    """Runs functions of a connection inside a transaction.

    A transaction that lost against another one is run again; any other failure of the database raises
    `LedgerUnavailable`. Functions must therefore do nothing but SQL.
    """

    def __init__(self, url: str | URL, *, with_timeout: bool = True) -> None:
        """If not `hurried`, an answer of MariaDB may take as long as it likes."""
        self.engine = _engine(url, IO_TIMEOUT if with_timeout else None)
        # SQLite lets writers wait by sleeping and looking again; threads of one process can be woken in turn instead.
        self._writers = threading.Lock() if self.engine.dialect.name == "sqlite" else None

    def read(self, query: Callable[[Connection], T]) -> T:
        """The answer of `query`, which must not write."""
        return self._run(query, readonly=True)

    def write(self, change: Callable[[Connection], T]) -> T:
        """The answer of `change`, committed. Raises as they are: IntegrityError, for a row that is there already, and
        DataError, for a value that fits no column.
        """
        return self._run(change, readonly=False)

    def _run(self, work: Callable[[Connection], T], *, readonly: bool) -> T:
        turn: AbstractContextManager[object] = nullcontext() if readonly or not self._writers else self._writers
        for attempt in range(MAX_TRIES):
            try:
                with turn, self.engine.connect() as connection:
                    options = connection.execution_options(bulkhead_readonly=readonly)
                    with options.begin():
                        return work(options)
            except (IntegrityError, DataError):
                raise
            except PoolTimeout as error:
                raise LedgerUnavailable("every connection is busy") from error
            except DBAPIError as error:
                if not _is_deadlock(error) or attempt == MAX_TRIES - 1:
                    raise LedgerUnavailable(error.orig) from error
                time.sleep(0.01 * 2**attempt)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _is_deadlock(error: DBAPIError) -> bool:
    code = error.orig.args[0] if error.orig and error.orig.args else None
    return code in RETRYABLE


def _engine(url: str | URL, io_timeout: int | None) -> Engine:
    target = make_url(url)
    pool = {"pool_size": POOL_SIZE, "max_overflow": POOL_OVERFLOW, "pool_timeout": POOL_TIMEOUT}
    if target.get_backend_name() == "sqlite":
        if target.database:
            Path(target.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(target, connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False}, **pool)
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


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would begin transactions on its own, too late and deferred
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Begin. A writer takes its lock at once: one that reads first and upgrades later fails under concurrency.

    It asks for the lock itself, every other millisecond: SQLite would let more and more time pass, up to 100 ms, and
    whoever has waited longest would lose against everyone who comes.
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
    """False if another one is writing; raises then if this was the last try."""
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except OperationalError as error:
        busy = isinstance(error.orig, sqlite3.Error) and error.orig.sqlite_errorcode == sqlite3.SQLITE_BUSY
        if last_try or not busy:
            raise
        return False
    return True
