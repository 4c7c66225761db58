"""Reads the stream by AMQP 0-9-1: slower than the stream protocol, but available on every RabbitMQ."""

import time
from collections.abc import Mapping
from contextlib import suppress

from amqp import Message
from amqp.transport import SSLTransport, TCPTransport
from celery import Celery

from tasks.heartbeats import declare_stream
from tasks.messaging.connections import BROKER_ERRORS, PublisherConnection, connect
from tasks.messaging.topology import HEARTBEATS
from workers.heartbeats.sources import Batch, SourceLost

CONNECT_TIMEOUT = 5.0  # seconds

# Messages that the broker may send ahead. They are acknowledged as soon as they are read: with a stream that only
# requests more of them, and the stream keeps them.
PREFETCH = 5_000

MAX_BATCH = 1_000  # records

# Bytes read from the socket at a time, about ten messages. py-amqp by itself reads nine times for each message.
READ_SIZE = 4096


class AmqpSource:
    """The heartbeats stream of the broker of `app`. AMQP carries no time of storage, so the local clock is used."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: PublisherConnection | None = None
        self._waiting: list[Message] = []

    def open(self, offsets: Mapping[int, int]) -> None:
        self.close()
        try:
            opened = self._connection = connect(self._app, CONNECT_TIMEOUT)
            declare_stream(opened.connection)
            enlarge_reads(opened.connection.connection.transport)
            channel = opened.connection.default_channel
            channel.basic_qos(0, PREFETCH, False)  # noqa: FBT003 - py-amqp's signature
            arguments = {"x-stream-offset": offsets.get(0, "first")}
            channel.basic_consume(  # type: ignore[call-arg] # its stub requires arguments that have defaults
                HEARTBEATS, callback=self._waiting.append, arguments=arguments
            )
        except BROKER_ERRORS as error:
            raise _source_lost(error) from error

    def poll(self, timeout: float) -> Batch | None:
        if self._connection is None:
            raise SourceLost("The stream is not open.")
        deadline = time.monotonic() + timeout
        try:
            amqp_connection = self._connection.connection.connection
            with suppress(TimeoutError), amqp_connection.transport.having_timeout(timeout):
                while len(self._waiting) < MAX_BATCH and time.monotonic() < deadline:
                    amqp_connection.drain_events()
            self._connection.connection.heartbeat_check()
            return self._batch() if self._waiting else None
        except BROKER_ERRORS as error:
            raise _source_lost(error) from error

    def close(self) -> None:
        opened, self._connection = self._connection, None
        self._waiting = []
        if opened is not None:
            opened.drop()

    def _batch(self) -> Batch:
        """The waiting messages with consecutive offsets: the broker's own records leave gaps."""
        first = _offset(self._waiting[0])
        size = len(self._waiting)
        if _offset(self._waiting[-1]) != first + size - 1:
            size = next(n for n, message in enumerate(self._waiting) if _offset(message) != first + n)
        messages = self._waiting[:size]
        del self._waiting[:size]
        messages[-1].channel.basic_ack(messages[-1].delivery_tag, multiple=True)
        return Batch([_body(message) for message in messages], first + size - 1, time.time())


def enlarge_reads(transport: TCPTransport | SSLTransport) -> None:
    """Make a connection read more bytes at a time than it needs; with TLS it does so already."""
    if isinstance(transport, TCPTransport):
        receive = transport.sock.recv
        transport._quick_recv = lambda size: receive(max(size, READ_SIZE))


def _offset(message: Message) -> int:
    return int(message.headers["x-stream-offset"])


def _body(message: Message) -> bytes:
    body = message.body
    return body.encode() if isinstance(body, str) else bytes(body)


def _source_lost(error: BaseException) -> SourceLost:
    return SourceLost(f"RabbitMQ cannot be read: {type(error).__name__} {error}.")
