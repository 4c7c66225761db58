"""The same stream by AMQP 0-9-1: slower, but every RabbitMQ listens for it."""

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

# Messages that the broker may send ahead. They are acknowledged as they are taken: that only asks for more, the stream
# keeps them.
PREFETCH = 5_000

# Records of one batch at most.
MAX_BATCH = 1_000

# Bytes asked of the socket at a time, some ten messages. py-amqp asks nine times for each message.
READ_SIZE = 4096


class AmqpSource:
    """The stream of heartbeats at the broker of `app`. Records bear no time of the broker, so ours is taken."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: PublisherConnection | None = None
        self._waiting: list[Message] = []

    def open(self, offsets: Mapping[int, int]) -> None:
        self.close()
        try:
            line = self._connection = connect(self._app, CONNECT_TIMEOUT)
            declare_stream(line.connection)
            enlarge_reads(line.connection.connection.transport)
            channel = line.connection.default_channel
            channel.basic_qos(0, PREFETCH, False)  # noqa: FBT003 - py-amqp takes it so
            arguments = {"x-stream-offset": offsets.get(0, "first")}
            channel.basic_consume(  # type: ignore[call-arg] # its stub takes defaults for arguments that must be given
                HEARTBEATS, callback=self._waiting.append, arguments=arguments
            )
        except BROKER_ERRORS as error:
            raise _source_lost(error) from error

    def poll(self, timeout: float) -> Batch | None:
        if self._connection is None:
            raise SourceLost("The stream is not open.")
        deadline = time.monotonic() + timeout
        try:
            line = self._connection.connection.connection  # py-amqp's
            with suppress(TimeoutError), line.transport.having_timeout(timeout):
                while len(self._waiting) < MAX_BATCH and time.monotonic() < deadline:
                    line.drain_events()
            self._connection.connection.heartbeat_check()
            return self._batch() if self._waiting else None
        except BROKER_ERRORS as error:
            raise _source_lost(error) from error

    def close(self) -> None:
        line, self._connection = self._connection, None
        self._waiting = []
        if line is not None:
            line.drop()

    def _batch(self) -> Batch:
        """The waiting messages whose offsets follow each other: the broker's own records leave holes."""
        first = _offset(self._waiting[0])
        size = len(self._waiting)
        if _offset(self._waiting[-1]) != first + size - 1:
            size = next(n for n, message in enumerate(self._waiting) if _offset(message) != first + n)
        taken = self._waiting[:size]
        del self._waiting[:size]
        taken[-1].channel.basic_ack(taken[-1].delivery_tag, multiple=True)
        return Batch([_body(message) for message in taken], first + size - 1, time.time())


def enlarge_reads(transport: TCPTransport | SSLTransport) -> None:
    """Let a connection read more than it needs at once; by TLS it does already."""
    if isinstance(transport, TCPTransport):
        receive = transport.sock.recv
        transport._quick_recv = lambda wanted: receive(max(wanted, READ_SIZE))


def _offset(message: Message) -> int:
    return int(message.headers["x-stream-offset"])


def _body(message: Message) -> bytes:
    body = message.body
    return body.encode() if isinstance(body, str) else bytes(body)


def _source_lost(error: BaseException) -> SourceLost:
    return SourceLost(f"RabbitMQ cannot be read: {type(error).__name__} {error}.")
