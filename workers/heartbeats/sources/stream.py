"""Reads the stream by RabbitMQ's stream protocol, in whole chunks: the fastest source."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import rstream.connection
from rstream.client import Client
from rstream.constants import OffsetType
from rstream.exceptions import ServerError
from rstream.schema import Deliver, MetadataUpdate, OffsetSpec

from tasks.messaging.connections import BROKER_ERRORS
from workers.heartbeats.sources import Batch, SourceLost, frames
from workers.heartbeats.sources.amqp1_body import BodyExtractor

T = TypeVar("T")

PORT = 5552
FRAME_MAX = 1024 * 1024
HEARTBEAT = 20  # seconds
CREDIT = 50  # chunks that the broker may send ahead
SUBSCRIPTION = 1

# Seconds without a record after which the broker is probed: a connection may break without notice.
PROBE_INTERVAL = 30.0

# Chunks that the broker stored within this time form one batch.
MERGE_WITHIN_MS = 100
MAX_BATCH = 5_000  # records

# Every error that a connection to a broker may raise.
STREAM_ERRORS = (OSError, ServerError, rstream.connection.ConnectionClosed, TimeoutError, ValueError)


class StreamSource:
    """The stream `name` at `url`: `rabbitmq-stream://user:password@host:port/vhost`.

    `declare` creates the stream by AMQP if it does not exist, and raises one of BROKER_ERRORS. The event loop runs only
    during a call.
    """

    def __init__(self, url: str, name: str, declare: Callable[[], None] = lambda: None) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "localhost", parts.port or PORT
        self._user, self._password = unquote(parts.username or "guest"), unquote(parts.password or "guest")
        self._vhost = unquote(parts.path.removeprefix("/")) or "/"
        self._name = name
        self._declare = declare
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Client | None = None
        self._frames: asyncio.Queue[Deliver | None] = asyncio.Queue()  # None: the connection was lost
        self._pending: deque[Deliver | None] = deque()
        self._active_at = 0.0
        self._body_of = BodyExtractor()

    def open(self, offsets: Mapping[int, int]) -> None:
        self.close()
        frames.patch_rstream()
        self._loop = asyncio.new_event_loop()
        try:
            self._declare()
            self._run(self._open(offsets.get(0)))
        except BROKER_ERRORS as error:
            self.close()
            raise SourceLost(f"RabbitMQ does not answer: {type(error).__name__} {error}.") from error
        except SourceLost:
            self.close()
            raise
        self._active_at = time.monotonic()

    def poll(self, timeout: float) -> Batch | None:
        if not self._pending:
            self._pending.extend(self._run(self._next(timeout)))
        now = time.monotonic()
        if self._pending:
            self._active_at = now
            return self._batch()
        if now - self._active_at > PROBE_INTERVAL:
            self._run(self._connected().query_leader_and_replicas(self._name))
            self._active_at = now
        return None

    def _batch(self) -> Batch:
        """The next chunk, and those that were stored directly after it."""
        first = frame = self._pending.popleft()
        if first is None or frame is None:
            raise SourceLost(f"RabbitMQ's stream {self._name} cannot be read: the connection or the stream was lost.")
        records = frames.extract_records(first)
        while self._pending and len(records) < MAX_BATCH:
            following = self._pending[0]
            if (
                following is None
                or not follows(frame, following)
                or following.timestamp - first.timestamp > MERGE_WITHIN_MS
            ):
                break
            frame = following
            records += frames.extract_records(frame)
            self._pending.popleft()
        return Batch([*map(self._body_of, records)], last_offset(frame), frame.timestamp / 1000)

    def close(self) -> None:
        if self._loop is None:
            return
        if self._client is not None:
            self._loop.run_until_complete(_close_client(self._client))
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()
        self._loop = self._client = None

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise SourceLost("The stream is not open.")
        try:
            return self._loop.run_until_complete(work)
        except STREAM_ERRORS as error:
            raise SourceLost(
                f"RabbitMQ's stream {self._name} cannot be read: {type(error).__name__} {error}."
            ) from error

    def _connected(self) -> Client:
        if self._client is None:
            raise SourceLost("The stream is not open.")
        return self._client

    async def _open(self, offset: int | None) -> None:
        self._pending.clear()
        client = await self._connect(self._host, self._port)
        leader, replicas = await client.query_leader_and_replicas(self._name)
        addresses = [(broker.host, broker.port) for broker in (*replicas, leader)]
        if (self._host, self._port) not in addresses:
            await _close_client(client)
            client = await self._connect(*addresses[0])
        client.add_handler(
            Deliver, self._on_lost, name=str(SUBSCRIPTION)
        )  # never called: chunks go to the queue instead
        client.add_handler(MetadataUpdate, self._on_lost)
        kind = OffsetType.FIRST if offset is None else OffsetType.OFFSET
        await client.subscribe(self._name, SUBSCRIPTION, OffsetSpec.from_params(kind, offset), CREDIT)

    async def _connect(self, host: str, port: int) -> Client:
        client = self._client = Client(
            host,
            port,
            frame_max=FRAME_MAX,
            heartbeat=HEARTBEAT,
            connection_name="bulkhead-coalescer",
            connection_closed_handler=self._on_lost,
        )
        self._frames = client._frames[SUBSCRIPTION]  # chunks are read from its queue directly, without a task
        client.add_stream(self._name)  # otherwise a lost connection is not reported
        await client.start()
        await client.authenticate(self._vhost, self._user, self._password)
        return client

    async def _next(self, seconds: float) -> list[Deliver | None]:
        """All chunks that have arrived; at least one, unless none arrives within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                frames = [await self._frames.get()]
        except TimeoutError:
            return []
        while not self._frames.empty():
            frames.append(self._frames.get_nowait())
        if frames[-1] is not None:
            await self._connected().credit(SUBSCRIPTION, len(frames))
        return frames

    async def _on_lost(self, _event: object) -> None:
        self._frames.put_nowait(None)


def last_offset(frame: Deliver) -> int:
    """Offset of the last record of a chunk."""
    return frame.chunk_first_offset + frame.num_records - 1


def follows(frame: Deliver, following: Deliver) -> bool:
    """Whether the chunks are consecutive: the broker's own records leave gaps."""
    return following.chunk_first_offset == last_offset(frame) + 1


async def _close_client(client: Client) -> None:
    with suppress(*STREAM_ERRORS):
        await client.close()
