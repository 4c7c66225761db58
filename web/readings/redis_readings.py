"""Latest readings in Redis, written by the coalescer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import redis.asyncio
from pydantic import TypeAdapter
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from tasks.errors import ServiceUnavailable
from tasks.sensors import LAST_FLUSH_KEY, PLANTS_KEY, LastFlush, Sensor, plant_key, sensor_key

TIMEOUT = 2.0  # seconds
MAX_CONNECTIONS = 10_000  # Redis' own default limit; each subscription occupies a connection

SENSOR_LIST = TypeAdapter(list[Sensor])


class ReadingsUnavailable(ServiceUnavailable):
    """Redis does not answer. Check BULKHEAD_REDIS_URL and the server."""

    code = "redis-unavailable"


class ReadingsSubscription:
    """A subscription to the new readings of a plant."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    async def receive(self, seconds: float) -> list[Sensor]:
        """The next readings, or none after `seconds`. Raises ReadingsUnavailable."""
        with _translated_errors():
            message = await self._channel.get_message(ignore_subscribe_messages=True, timeout=seconds)
        return SENSOR_LIST.validate_json(message["data"]) if message else []


class RedisReadings:
    """Reads from the Redis at `url` through one connection pool. Methods raise ReadingsUnavailable."""

    def __init__(self, url: str) -> None:
        self._client = redis.asyncio.Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            max_connections=MAX_CONNECTIONS,
            # One immediate retry replaces a pooled connection that Redis has closed. Timeouts are not retried.
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def find(self, plant: str, machine: str) -> Sensor | None:
        """The latest readings of a machine, or None if it is unknown."""
        sensors = await self.find_many(plant, [machine])
        return sensors[0] if sensors else None

    async def find_many(self, plant: str, machines: Sequence[str]) -> list[Sensor]:
        """The readings of the machines that have any."""
        with _translated_errors():
            async with self._client.pipeline(transaction=False) as pipe:
                for machine in machines:
                    pipe.hgetall(sensor_key(plant, machine))
                hashes = await pipe.execute()
        return [_sensor(plant, machine, fields) for machine, fields in zip(machines, hashes, strict=True) if fields]

    async def machines(self, plant: str) -> list[str]:
        """The known machines of a plant, sorted by name."""
        with _translated_errors():
            return sorted(str(name) for name in await self._client.zrange(plant_key(plant), 0, -1))

    async def unknown_machines(self, plant: str, machines: Sequence[str], limit: int) -> list[str]:
        """The machines that are unknown, if the plant already has `limit` machines; otherwise none."""
        with _translated_errors():
            if await self._client.zcard(plant_key(plant)) < limit:
                return []
            scores = await self._client.zmscore(plant_key(plant), list(machines))
        return [machine for machine, score in zip(machines, scores, strict=True) if score is None]

    async def plants(self, since: float) -> list[tuple[str, float, int]]:
        """Plants with a heartbeat since then, by name: the time of the last one, and the number of machines."""
        with _translated_errors():
            scores: list[Any] = await self._client.zrangebyscore(PLANTS_KEY, since, "+inf", withscores=True)
            last_seen = sorted((str(name), float(at)) for name, at in scores)
            async with self._client.pipeline(transaction=False) as pipe:
                for name, _ in last_seen:
                    pipe.zcard(plant_key(name))
                counts = await pipe.execute()
        return [(name, at, int(count)) for (name, at), count in zip(last_seen, counts, strict=True)]

    async def last_flush(self) -> LastFlush | None:
        """The last flush of the coalescer, or None without a recent one."""
        with _translated_errors():
            document = await self._client.get(LAST_FLUSH_KEY)
        return LastFlush.model_validate_json(document) if document else None

    @asynccontextmanager
    async def subscribe(self, plant: str) -> AsyncIterator[ReadingsSubscription]:
        """Subscribe to the new readings of a plant."""
        async with self._client.pubsub() as channel:
            with _translated_errors():
                await channel.subscribe(plant_key(plant))
            yield ReadingsSubscription(channel)


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise ReadingsUnavailable from error


def _sensor(plant: str, machine: str, fields: dict[str, str]) -> Sensor:
    values = {name: value or None for name, value in fields.items()}
    return Sensor.model_validate({"plant": plant, "machine": machine, **values})
