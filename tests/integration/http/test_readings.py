"""The latest readings over a pool of connections to a real Redis."""

from __future__ import annotations

import asyncio

import pytest
import redis

from tasks.sensors import plant_key, sensor_key
from web.readings.redis_readings import RedisReadings

pytestmark = pytest.mark.service


def test_given_readings_when_read_repeatedly_then_one_connection_is_reused_and_replaced_if_redis_closes_it(
    redis_url: str,
) -> None:
    reading = {"seq": 1, "seen_at": 1.0, "received_at": 2.0, "status": "running", "rpm": 3.5}

    async def read(client: redis.Redis) -> list[float | None]:
        readings = RedisReadings(redis_url)
        try:
            before = client.info("stats")["total_connections_received"]
            values = [await readings.find("pool", "press-1") for _ in range(5)]
            assert client.info("stats")["total_connections_received"] == before + 1
            for connection in client.client_list():
                if connection["id"] != str(client.client_id()):
                    client.client_kill_filter(_id=connection["id"])
            values.append(await readings.find("pool", "press-1"))
        finally:
            await readings.close()
        return [sensor.model_dump()["rpm"] for sensor in values if sensor]

    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        client.hset(sensor_key("pool", "press-1"), mapping=reading)
        client.zadd(plant_key("pool"), {"press-1": 2.0})
        try:
            assert asyncio.run(read(client)) == [3.5] * 6
        finally:
            client.delete(sensor_key("pool", "press-1"), plant_key("pool"))
