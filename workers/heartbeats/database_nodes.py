"""Which node of the database is written to: the first of the list that can take it, and only that one.

Writers on several nodes of a synchronous cluster conflict with each other; one writer never does.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 2  # seconds
STATEMENT_TIMEOUT = 60  # seconds for one statement: another one's lock is waited for 50

# Seconds for which a node that did not answer is not asked again, so that one that is dead does not delay each flush.
NODE_RETRY_DELAY = 5.0

# Lost a race or a lock (1213, 1205, 1180), a node that is joining or leaving (1047), stopping or stopped (1053, 1927),
# full of connections (1040), unreachable (2002, 2003), a connection lost (2006, 2013, 0), read-only for now (1290).
TRANSIENT_ERRORS = frozenset({0, 1040, 1047, 1053, 1180, 1205, 1213, 1290, 1927, 2002, 2003, 2006, 2013})

# Statements fail rather than store something else than what they were given, whatever the server's default.
SQL_MODE = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION"

# Reads and updates wait until this node knows what was committed on the others: bits 1 and 2 of wsrep_sync_wait.
SYNC_WAIT = 3


class NoWritableNode(Exception):
    """No node of the database can be written to. Check BULKHEAD_HEARTBEATS_DATABASE_URLS and the servers."""

    def __init__(self, reason: object = "") -> None:
        super().__init__(f"{self.__doc__} ({reason})" if reason else self.__doc__)


class DatabaseNodes:
    """Connections to the first healthy node of `urls`, SQLAlchemy's. Safe to share between threads."""

    def __init__(self, urls: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._engines = [_create_engine(url) for url in urls]
        self._clock = clock
        self._retry_at = [0.0] * len(urls)

    @property
    def is_sqlite(self) -> bool:
        """Whether all this is only a file."""
        return self._engines[0].dialect.name == "sqlite"

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A new connection, closed afterwards. Raises NoNode; inside, DBAPIError."""
        with self._connect_to_first() as connection:
            yield connection

    def _connect_to_first(self) -> Connection:
        """To the first node that can be written to. If all are resting, none rests."""
        now = self._clock()
        awake = [n for n in range(len(self._engines)) if self._retry_at[n] <= now] or range(len(self._engines))
        reason: object = ""
        for number in awake:
            try:
                connection = self._engines[number].connect()
            except DBAPIError as error:
                reason = error.orig
            else:
                if self.is_sqlite or (reason := _find_problem(connection)) is None:
                    return connection
                connection.close()
            logger.info("Node %d cannot be written to: %s", number + 1, reason)
            self._retry_at[number] = now + NODE_RETRY_DELAY
        raise NoWritableNode(reason)


def is_transient(error: DBAPIError) -> bool:
    """Whether the same may work when it is tried again."""
    first = error.orig.args[0] if error.orig and error.orig.args else None
    return first in TRANSIENT_ERRORS or error.connection_invalidated or "database is locked" in str(error.orig)


def _find_problem(connection: Connection) -> object:
    """What keeps a MariaDB from being written to, read-only or no good part of a cluster; prepares the session."""
    try:
        with connection.begin():
            connection.exec_driver_sql(f"SET SESSION sql_mode='{SQL_MODE}'")
            variables = _show_global(connection, "VARIABLES WHERE Variable_name IN ('read_only', 'wsrep_on')")
            if variables["read_only"] != "OFF":
                return "it is read-only"
            if variables.get("wsrep_on") != "ON":
                return None
            status = _show_global(connection, "STATUS LIKE 'wsrep%%'")
            part, state = status.get("wsrep_cluster_status"), status.get("wsrep_local_state_comment")
            if (part, state) != ("Primary", "Synced"):
                return f"it is {part} and {state}, not Primary and Synced"
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
