"""Live readings on a real Redis: there once they are settled, and nobody waits long for a Redis that is away."""

import asyncio
import time

import pytest
import redis

from tasks.heartbeats import Beat
from tasks.sensors import PLANTS_KEY, LastFlush, sensor_key
from web.readings.redis_readings import RedisReadings
from workers.heartbeats import latest_readings as module
from workers.heartbeats.latest_readings import RedisLatestReadings
from workers.heartbeats.machine import Machine


def machine(name: str, seq: int, plant: str = "ulm") -> Machine:
    made = Machine(plant, name)
    made.fold(Beat(name, seq, 1000.0 + seq, "running", rpm=float(seq)))
    return made


@pytest.mark.service
def test_given_news_when_settled_then_they_are_there_and_an_older_beat_changes_nothing(redis_url: str) -> None:
    live = RedisLatestReadings(redis_url, ttl=60)
    many = [machine(f"settled-{number}", 5) for number in range(1_200)]
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        live.publish(dict.fromkeys(many, 2000.0))
        live.flush()
        assert all(client.hget(sensor_key("ulm", each.machine), "seq") == "5" for each in many)

        live.publish({machine("settled-0", 4): 2001.0, machine("settled-1", 6): 2001.0})
        live.flush()
        found = [client.hget(sensor_key("ulm", f"settled-{number}"), "seq") for number in (0, 1)]
    live.close()
    assert found == ["5", "6"]


@pytest.mark.service
def test_given_plants_that_were_heard_and_a_flush_when_looked_at_then_they_are_told_and_a_silent_plant_is_not(
    redis_url: str,
) -> None:
    live = RedisLatestReadings(redis_url, ttl=60)
    now = time.time()
    last = LastFlush(flushed_at=now, received_at=now - 2, window_seconds=60, flush_seconds=0.2, machines=3, beats=90)
    with redis.Redis.from_url(redis_url) as client:
        client.delete(PLANTS_KEY)
    for plant, at in (("plant-b", now), ("plant-a", now - 5), ("plant-b", now - 3), ("plant-c", now - 50)):
        live.publish({machine(f"{plant}-1", 1, plant): at})
        live.flush()
    live.publish_flush(last)
    live.close()

    async def look() -> tuple[list[tuple[str, float, int]], LastFlush | None]:
        sensors = RedisReadings(redis_url)
        return await sensors.plants(since=now - 30), await sensors.last_flush()

    plants, told = asyncio.run(look())
    assert [name for name, _heard, _machines in plants] == ["plant-a", "plant-b"]
    assert [heard for _name, heard, _machines in plants] == pytest.approx([now - 5, now])
    assert [machines for _name, _heard, machines in plants] == [1, 1]
    assert told == last


def test_given_a_redis_that_is_away_when_settled_then_it_does_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.5)
    live = RedisLatestReadings("redis://127.0.0.1:1/0", ttl=60)
    live.publish({machine("a", 1): 2000.0})

    begun = time.monotonic()
    live.flush()

    assert time.monotonic() - begun < 5
    live.close()
