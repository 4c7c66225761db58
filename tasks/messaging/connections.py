"""Lines to the broker: opened within a time-out or not at all, and dropped after any doubt."""

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

# Whatever can go wrong between us and a broker.
BROKER_ERRORS = (AMQPError, KombuError, OSError)

# Seconds; zero would mean "do not block" to a socket.
MIN_TIMEOUT = 0.05


class PublishError(ServiceUnavailable):
    """The broker did not confirm the message, which may or may not have been accepted. Try again."""

    code = "not-confirmed"

    def __init__(self, reason: object = "") -> None:
        super().__init__(f"{self.__doc__} ({reason})" if reason else None)


class BrokerUnavailable(PublishError):
    """The broker does not answer. Check BULKHEAD_BROKER_URL and the server, or run `bulkhead doctor`."""

    code = "broker-unavailable"


class QueueFull(PublishError):
    """The broker rejected the message: its queue is full, or not available yet after a restart. Try again later."""

    code = "queue-full"


class PublisherConnection(NamedTuple):
    """A producer and the connection that is its alone."""

    connection: Connection
    producer: Producer

    def close(self) -> None:
        """Say good-bye to the broker and close."""
        with suppress(*BROKER_ERRORS):
            self.connection.release()

    def drop(self) -> None:
        """Close the socket without a word: the broker may be stuck, and must not be waited for."""
        with suppress(*BROKER_ERRORS):
            self.connection.collect(socket_timeout=0.1)


def connect(app: Celery, timeout: float, **transport_options: Any) -> PublisherConnection:
    """A new line to the app's broker, any of them if there are several. Raises one of BROKER_ERRORS.

    `timeout` is in seconds, for the whole of connecting and afterwards for every single answer that a call waits for;
    `transport_options` come before the app's own.
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
    """Lines that threads share, each used by one call at a time.

    `timeout` is the number of seconds a call may take in all.
    """

    def __init__(self, app: Celery, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._timeout = timeout
        self._clock = clock
        self._idle: LifoQueue[PublisherConnection] = LifoQueue()

    def run(self, operation: Callable[[PublisherConnection, float], T]) -> T:
        """The answer of `work`, given a line and the seconds it has. Raises BrokerUnavailable or QueueFull.

        Work that fails on a line that was idle, and so may have been closed meanwhile, is done again on a new one.
        """
        deadline = self._clock() + self._timeout
        while True:
            line, reused = self._acquire(deadline)
            try:
                answer = operation(line, self._remaining(deadline))
            except (MessageNacked, *BROKER_ERRORS) as error:
                # Never use it again: a confirm that comes late would be taken for the next message's.
                line.drop()
                if isinstance(error, MessageNacked) or isinstance(error.__cause__, MessageNacked):  # Celery wraps it
                    raise QueueFull from error
                if not reused or self._clock() >= deadline:
                    raise BrokerUnavailable(error) from error
            except BaseException:
                line.drop()
                raise
            else:
                self._idle.put(line)
                return answer

    def close(self) -> None:
        """Close every idle line."""
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
