"""Latest readings in Redis, written by the coalescer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio
from pydantic import TypeAdapter
from redis.exceptions import RedisError

from tasks.sensors import LAST_FLUSH_KEY, PLANTS_KEY, LastFlush, Sensor, plant_key, sensor_key

TIMEOUT = 2.0  # seconds

SENSOR_LIST = TypeAdapter(list[Sensor])

__all__ = ["ReadingsSubscription", "RedisError", "RedisReadings"]


class ReadingsSubscription:
    """A subscription to the new readings of a plant."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    async def receive(self, seconds: float) -> list[Sensor]:
        """The next readings, or none after `seconds`. Raises RedisError."""
        message = await self._channel.get_message(ignore_subscribe_messages=True, timeout=seconds)
        return SENSOR_LIST.validate_json(message["data"]) if message else []


class RedisReadings:
    """Reads from the Redis at `url`. Every method raises RedisError if it does not answer."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def find(self, plant: str, machine: str) -> Sensor | None:
        """The latest readings of a machine, or None if it is unknown."""
        found = await self.find_many(plant, [machine])
        return found[0] if found else None

    async def plants(self, since: float) -> list[tuple[str, float, int]]:
        """Plants with a heartbeat since then, by name: the time of the last one, and the number of machines."""
        async with self._connected() as client, client.pipeline(transaction=False) as pipe:
            found: list[Any] = await client.zrangebyscore(PLANTS_KEY, since, "+inf", withscores=True)
            heard = {str(name): float(at) for name, at in found}
            names = sorted(heard)
            for name in names:
                pipe.zcard(plant_key(name))
            counts = await pipe.execute()
        return [(name, heard[name], int(count)) for name, count in zip(names, counts, strict=True)]

    async def last_flush(self) -> LastFlush | None:
        """The last flush of the coalescer, or None without a recent one."""
        async with self._connected() as client:
            found = await client.get(LAST_FLUSH_KEY)
        return LastFlush.model_validate_json(found) if found else None

    async def machines(self, plant: str) -> list[str]:
        """The known machines of a plant, sorted by name."""
        async with self._connected() as client:
            return sorted(str(name) for name in await client.zrange(plant_key(plant), 0, -1))

    async def find_many(self, plant: str, machines: Sequence[str]) -> list[Sensor]:
        """The readings of the machines that have any."""
        async with self._connected() as client, client.pipeline(transaction=False) as pipe:
            for machine in machines:
                pipe.hgetall(sensor_key(plant, machine))
            hashes = await pipe.execute()
        return [_sensor(plant, machine, found) for machine, found in zip(machines, hashes, strict=True) if found]

    async def unknown_machines(self, plant: str, machines: Sequence[str], limit: int) -> list[str]:
        """The machines that are unknown, if the plant already has `limit` machines; otherwise none."""
        async with self._connected() as client:
            if await client.zcard(plant_key(plant)) < limit:
                return []
            scores = await client.zmscore(plant_key(plant), list(machines))
        return [machine for machine, score in zip(machines, scores, strict=True) if score is None]

    @asynccontextmanager
    async def subscribe(self, plant: str) -> AsyncIterator[ReadingsSubscription]:
        """Subscribe to the new readings of a plant."""
        async with self._connected() as client, client.pubsub() as channel:
            await channel.subscribe(plant_key(plant))
            yield ReadingsSubscription(channel)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[redis.asyncio.Redis]:
        client = redis.asyncio.Redis.from_url(
            self._url, decode_responses=True, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
        )
        try:
            yield client
        finally:
            await client.aclose()


def _sensor(plant: str, machine: str, found: dict[str, str]) -> Sensor:
    measured = {name: value or None for name, value in found.items()}
    return Sensor.model_validate({"plant": plant, "machine": machine, **measured})
