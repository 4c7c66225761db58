"""Chooses the node of the database to write to: the first one of the list that accepts writes, and only that one.

Writers on several nodes of a synchronous cluster conflict with each other; a single writer never does.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from tasks.database.errors import SchemaOutdated, is_schema_mismatch
from tasks.errors import ServiceUnavailable

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 2  # seconds
STATEMENT_TIMEOUT = 60  # seconds for one statement: MariaDB itself waits 50 s for a lock

# Seconds for which a node that did not answer is skipped, so that a dead node does not delay every flush.
NODE_RETRY_DELAY = 5.0

# Lost a race or a lock (1213, 1205, 1180), a node that is joining or leaving (1047), stopping or stopped (1053, 1927),
# out of connections (1040), unreachable (2002, 2003), a connection lost (2006, 2013, 0), read-only for now (1290).
TRANSIENT_ERRORS = frozenset({0, 1040, 1047, 1053, 1180, 1205, 1213, 1290, 1927, 2002, 2003, 2006, 2013})

# Statements fail instead of storing a changed value, whatever the server's default is.
SQL_MODE = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION"

# Reads and updates wait until this node has applied what was committed on the others: bits 1 and 2 of wsrep_sync_wait.
SYNC_WAIT = 3


class NoWritableNode(ServiceUnavailable):
    """No node of the database accepts writes. Check BULKHEAD_HEARTBEATS_DATABASE_URLS and the servers."""

    code = "database-unavailable"

    def __init__(self, reason: object = "") -> None:
        super().__init__(f"{self.__doc__} ({reason})" if reason else None)


class DatabaseNodes:
    """Connections to the first healthy node of `urls` (SQLAlchemy URLs). Safe to share between threads."""

    def __init__(self, urls: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._engines = [_create_engine(url) for url in urls]
        self._clock = clock
        self._retry_at = [0.0] * len(urls)

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file."""
        return self._engines[0].dialect.name == "sqlite"

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A new connection, closed afterwards.

        Raises NoWritableNode, also for transient errors of statements in the block, and SchemaOutdated for a missing
        table or column. Any other DBAPIError is raised unchanged.
        """
        with self._connect_to_first() as connection:
            try:
                yield connection
            except DBAPIError as error:
                if is_transient(error):
                    raise NoWritableNode(error.orig) from error
                if is_schema_mismatch(error):
                    raise SchemaOutdated(error.orig) from error
                raise

    def _connect_to_first(self) -> Connection:
        """Connect to the first writable node. Nodes that failed lately are skipped, unless all of them did."""
        now = self._clock()
        candidates = [n for n in range(len(self._engines)) if self._retry_at[n] <= now] or range(len(self._engines))
        problem: object = ""
        for number in candidates:
            try:
                connection = self._engines[number].connect()
            except DBAPIError as error:
                problem = error.orig
            else:
                if self.is_sqlite or (problem := _find_problem(connection)) is None:
                    return connection
                connection.close()
            logger.info("Node %d does not accept writes: %s", number + 1, problem)
            self._retry_at[number] = now + NODE_RETRY_DELAY
        raise NoWritableNode(problem)


def is_transient(error: DBAPIError) -> bool:
    """Whether the same statement may succeed when it is tried again."""
    code = error.orig.args[0] if error.orig and error.orig.args else None
    return code in TRANSIENT_ERRORS or error.connection_invalidated or "database is locked" in str(error.orig)


def _find_problem(connection: Connection) -> object:
    """The reason why a MariaDB node does not accept writes, or None. Prepares the session."""
    try:
        with connection.begin():
            connection.exec_driver_sql(f"SET SESSION sql_mode='{SQL_MODE}'")
            variables = _show_global(connection, "VARIABLES WHERE Variable_name IN ('read_only', 'wsrep_on')")
            if variables["read_only"] != "OFF":
                return "it is read-only"
            if variables.get("wsrep_on") != "ON":
                return None
            status = _show_global(connection, "STATUS LIKE 'wsrep%%'")
            component, state = status.get("wsrep_cluster_status"), status.get("wsrep_local_state_comment")
            if (component, state) != ("Primary", "Synced"):
                return f"it is {component} and {state}, not Primary and Synced"
            connection.exec_driver_sql(f"SET SESSION wsrep_sync_wait={SYNC_WAIT}")
    except DBAPIError as error:
        return error.orig
    return None


def _show_global(connection: Connection, clause: str) -> dict[str, str]:
    return {name: value for name, value in connection.exec_driver_sql(f"SHOW GLOBAL {clause}")}  # noqa: C416 - rows


def _create_engine(url: str) -> Engine:
    target = make_url(url)
    if target.get_backend_name() == "sqlite":
        return create_engine(target, poolclass=NullPool)
    timeouts = {
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": STATEMENT_TIMEOUT,
        "write_timeout": STATEMENT_TIMEOUT,
    }
    return create_engine(target, poolclass=NullPool, connect_args={**timeouts, "charset": "utf8mb4"})
