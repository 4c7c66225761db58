"""SensorCache of PHP with a real Redis: the keys of the platform, consistent readings, the newest beat wins."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from cli.embedded.process import NotInstalled
from tasks.sensors import PLANTS_KEY, plant_key, sensor_key
from tests.conftest import skip_or_fail
from tests.services.edge import php
from workers.heartbeats.latest_readings import FIELDS, RedisLatestReadings
from workers.heartbeats.machine import Machine

pytestmark = pytest.mark.service

PLANT = "php"

WRITERS, READERS, SECONDS = 4, 2, 2.0


@pytest.fixture(autouse=True)
def installed() -> None:
    try:
        php.find_php()
    except NotInstalled as error:
        skip_or_fail(error)


@pytest.fixture(autouse=True)
def client(redis_url: str) -> Iterator[Any]:
    """An empty Redis."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        client.flushdb()
        yield client


def call(redis_url: str, *calls: tuple[str, Any]) -> list[Any]:
    """Call methods of PHP's cache and return the results."""
    return php.run_script("sensor.php", redis_url, PLANT, requests=[{"call": each} for each in calls])


def beat(seq: int, **fields: Any) -> dict[str, Any]:
    return {"machine": "press-1", "seq": seq, "seenAt": 1.7e9 + seq + 0.1, "status": "running", **fields}


def test_given_a_beat_that_php_sets_then_it_is_stored_under_the_platforms_keys_and_published(
    redis_url: str, client: Any
) -> None:
    with client.pubsub() as subscription:
        subscription.subscribe(plant_key(PLANT))
        subscription.get_message(timeout=5)

        assert call(redis_url, ("set", beat(7, rpm=0.1 + 0.2))) == [True]

        updates = json.loads(subscription.get_message(timeout=5)["data"])
    stored = client.hgetall(sensor_key(PLANT, "press-1"))
    assert set(stored) == set(FIELDS)
    assert (stored["seq"], float(stored["seen_at"]), float(stored["rpm"])) == ("7", 1.7e9 + 7.1, 0.1 + 0.2)
    assert (stored["status"], stored["temperature_c"]) == ("running", "")
    assert client.ttl(sensor_key(PLANT, "press-1")) > 86_000
    assert client.zrange(plant_key(PLANT), 0, -1) == ["press-1"]
    assert client.zscore(PLANTS_KEY, PLANT) == pytest.approx(float(stored["received_at"]))
    assert [(each["plant"], each["machine"], each["seq"], each["rpm"]) for each in updates] == [
        (PLANT, "press-1", 7, 0.1 + 0.2)
    ]


def test_given_readings_of_the_platform_then_php_reads_them(redis_url: str) -> None:
    machine = Machine(PLANT, "press-1")
    machine.seen_at, machine.seq, machine.status, machine.readings = 1.7e9 + 0.1, 3, "fault", (1480.25, None, None)
    live = RedisLatestReadings(redis_url, 60)
    live.publish({machine: 1.7e9 + 1})
    live.close()

    one, everything, nothing = call(redis_url, ("get", "press-1"), ("all", None), ("get", "press-2"))

    assert one == everything["press-1"]
    assert (one["seenAt"], one["receivedAt"], one["seq"]) == (1.7e9 + 0.1, 1.7e9 + 1, 3)
    assert (one["status"], one["rpm"], one["temperature"]) == ("fault", 1480.25, None)
    assert nothing is None


def test_given_an_older_beat_then_it_does_not_replace_a_newer_one_and_a_machine_can_be_deleted(
    redis_url: str,
) -> None:
    results = call(
        redis_url,
        ("set", beat(2)),
        ("set", beat(1)),
        ("get", "press-1"),
        ("delete", "press-1"),
        ("get", "press-1"),
        ("all", None),
    )

    assert results[:2] == [True, False]
    assert results[2]["seq"] == 2
    assert results[4:] == [None, []]


def test_given_concurrent_writers_then_readers_never_mix_two_beats(
    redis_url: str,
) -> None:
    writers = [php.start_script("sensors.php", "write", redis_url, PLANT, "20", str(SECONDS)) for _ in range(WRITERS)]
    readers = [php.start_script("sensors.php", "read", redis_url, PLANT, str(SECONDS)) for _ in range(READERS)]

    written = [json.loads(process.communicate(timeout=60)[0]) for process in writers]
    reads = [json.loads(process.communicate(timeout=60)[0]) for process in readers]

    assert min(written) > 0
    assert sum(each["readings"] for each in reads) > 0
    assert sum(each["torn"] for each in reads) == 0
