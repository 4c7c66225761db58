"""One connection to the broker, opened within a time-out or not at all."""

from contextlib import suppress
from typing import Any, NamedTuple

from amqp.exceptions import AMQPError
from celery import Celery
from kombu import Connection, Producer
from kombu.exceptions import KombuError

# Whatever can go wrong between us and a broker.
BROKER_ERRORS = (AMQPError, KombuError, OSError)


class Line(NamedTuple):
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


def connect(app: Celery, timeout: float, **transport_options: Any) -> Line:
    """A new line to the app's broker, any of them if there are several. Raises one of BROKER_ERRORS.

    `timeout` is in seconds; `transport_options` come before the app's own.
    """
    connection = app.connection_for_write(connect_timeout=timeout, transport_options=transport_options)
    try:
        connection.ensure_connection(
            max_retries=len(connection.alt) or 1,
            interval_start=0,
            interval_step=0,
            timeout=timeout,
            reraise_as_library_errors=False,
        )
        return Line(connection, app.amqp.Producer(connection, auto_declare=False))
    except BaseException:
        with suppress(*BROKER_ERRORS):
            connection.collect(socket_timeout=0.1)
        raise
