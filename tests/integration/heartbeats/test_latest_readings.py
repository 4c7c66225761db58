"""Latest readings on a real Redis: present after a flush, which does not wait for an unavailable Redis."""

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
    state = Machine(plant, name)
    state.fold(Beat(name, seq, 1000.0 + seq, "running", rpm=float(seq)))
    return state


@pytest.mark.service
def test_given_changes_when_flushed_then_they_are_stored_and_an_older_beat_changes_nothing(redis_url: str) -> None:
    readings = RedisLatestReadings(redis_url, ttl=60)
    many = [machine(f"machine-{number}", 5) for number in range(1_200)]
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        readings.publish(dict.fromkeys(many, 2000.0))
        readings.flush()
        assert all(client.hget(sensor_key("ulm", each.machine), "seq") == "5" for each in many)

        readings.publish({machine("machine-0", 4): 2001.0, machine("machine-1", 6): 2001.0})
        readings.flush()
        sequence_numbers = [client.hget(sensor_key("ulm", f"machine-{number}"), "seq") for number in (0, 1)]
    readings.close()
    assert sequence_numbers == ["5", "6"]


@pytest.mark.service
def test_given_active_plants_and_a_flush_then_both_are_listed_without_a_silent_plant(
    redis_url: str,
) -> None:
    readings = RedisLatestReadings(redis_url, ttl=60)
    now = time.time()
    last = LastFlush(flushed_at=now, received_at=now - 2, window_seconds=60, flush_seconds=0.2, machines=3, beats=90)
    with redis.Redis.from_url(redis_url) as client:
        client.delete(PLANTS_KEY)
    for plant, at in (("plant-b", now), ("plant-a", now - 5), ("plant-b", now - 3), ("plant-c", now - 50)):
        readings.publish({machine(f"{plant}-1", 1, plant): at})
        readings.flush()
    readings.publish_flush(last)
    readings.close()

    async def read() -> tuple[list[tuple[str, float, int]], LastFlush | None]:
        sensors = RedisReadings(redis_url)
        try:
            return await sensors.plants(since=now - 30), await sensors.last_flush()
        finally:
            await sensors.close()

    plants, last_flush = asyncio.run(read())
    assert [name for name, _last_seen_at, _machines in plants] == ["plant-a", "plant-b"]
    assert [last_seen_at for _name, last_seen_at, _machines in plants] == pytest.approx([now - 5, now])
    assert [machines for _name, _last_seen_at, machines in plants] == [1, 1]
    assert last_flush == last


def test_given_an_unavailable_redis_when_flushed_then_it_does_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.5)
    readings = RedisLatestReadings("redis://127.0.0.1:1/0", ttl=60)
    readings.publish({machine("a", 1): 2000.0})

    started = time.monotonic()
    readings.flush()

    assert time.monotonic() - started < 5
    readings.close()
