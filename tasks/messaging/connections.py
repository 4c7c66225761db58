"""Connections to the broker: opened within a timeout or not at all, and dropped after any error."""

import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, LifoQueue
from typing import Any, NamedTuple, TypeVar

from amqp.exceptions import AMQPError, MessageNacked
from celery import Celery
from kombu import Connection, Producer
from kombu.exceptions import KombuError

from tasks.errors import ServiceUnavailable
from tasks.messaging.compatibility import tolerate_malformed_properties

T = TypeVar("T")

# Everything that an operation on the broker may raise.
BROKER_ERRORS = (AMQPError, KombuError, OSError)

# Seconds. A socket takes a timeout of zero for "do not block".
MIN_TIMEOUT = 0.05


class PublishError(ServiceUnavailable):
    """The broker did not confirm the message and may have received it. Send it again: a duplicate is recognized."""

    code = "publish-unconfirmed"

    def __init__(self, reason: object = "") -> None:
        super().__init__(f"{self.__doc__} ({reason})" if reason else None)


class BrokerUnavailable(PublishError):
    """The broker does not answer. Check BULKHEAD_BROKER_URL and the server, or run `bulkhead doctor`."""

    code = "broker-unavailable"


class QueueFull(PublishError):
    """The broker rejected the message: its queue is full, or is still starting. Try again later."""

    code = "queue-full"


class PublisherConnection(NamedTuple):
    """A producer and the connection that it alone uses."""

    connection: Connection
    producer: Producer

    def close(self) -> None:
        """Close the connection properly."""
        with suppress(*BROKER_ERRORS):
            self.connection.release()

    def drop(self) -> None:
        """Close the socket without AMQP's closing handshake: the broker may be stuck."""
        with suppress(*BROKER_ERRORS):
            self.connection.collect(socket_timeout=0.1)


def connect(app: Celery, timeout: float, **transport_options: Any) -> PublisherConnection:
    """A new connection to the app's broker, or to any node if several are configured. Raises one of BROKER_ERRORS.

    `timeout` (seconds) limits connecting as a whole, and later each answer that a call waits for. `transport_options`
    override the app's own.
    """
    tolerate_malformed_properties()
    timeouts = {"read_timeout": timeout, "write_timeout": timeout}
    connection = app.connection_for_write(connect_timeout=timeout, transport_options={**timeouts, **transport_options})
    try:
        connection.ensure_connection(
            max_retries=len(connection.alt) or 1,
            interval_start=0,
            interval_step=0,
            timeout=timeout,
            reraise_as_library_errors=False,
        )
        return PublisherConnection(connection, app.amqp.Producer(connection, auto_declare=False))
    except BaseException:
        with suppress(*BROKER_ERRORS):
            connection.collect(socket_timeout=0.1)
        raise


class ConnectionPool:
    """Connections that threads share; each is used by one call at a time.

    `timeout` is the number of seconds that a call may take in total.
    """

    def __init__(self, app: Celery, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._timeout = timeout
        self._clock = clock
        self._idle: LifoQueue[PublisherConnection] = LifoQueue()

    def run(self, operation: Callable[[PublisherConnection, float], T]) -> T:
        """The result of `operation`, which gets a connection and the seconds that remain.

        Raises BrokerUnavailable or QueueFull. An operation that fails on an idle connection, which the broker may have
        closed meanwhile, is repeated on a new one.
        """
        deadline = self._clock() + self._timeout
        while True:
            connection, is_reused = self._acquire(deadline)
            try:
                result = operation(connection, self._remaining(deadline))
            except (MessageNacked, *BROKER_ERRORS) as error:
                # Never reuse it: a confirm that arrives late would be taken for that of the next message.
                connection.drop()
                if isinstance(error, MessageNacked) or isinstance(error.__cause__, MessageNacked):  # Celery wraps it
                    raise QueueFull from error
                if not is_reused or self._clock() >= deadline:
                    raise BrokerUnavailable(error) from error
            except BaseException:
                connection.drop()
                raise
            else:
                self._idle.put(connection)
                return result

    def close(self) -> None:
        """Close every idle connection."""
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    def _acquire(self, deadline: float) -> tuple[PublisherConnection, bool]:
        with suppress(Empty):
            return self._idle.get_nowait(), True
        try:
            timeouts = {"read_timeout": self._timeout, "write_timeout": self._timeout}
            return connect(self._app, self._remaining(deadline), **timeouts), False
        except BROKER_ERRORS as error:
            raise BrokerUnavailable(error) from error

    def _remaining(self, deadline: float) -> float:
        return max(MIN_TIMEOUT, deadline - self._clock())
