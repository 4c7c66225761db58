"""PHP's cache of readings in a real Redis: the platform's own keys, whole beats, the newest one wins."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from cli.embedded.process import NotInstalled
from tasks.sensors import PLANTS_KEY, plant_key, sensor_key
from tests.conftest import without
from tests.services.edge import php
from workers.heartbeats.latest_readings import FIELDS, RedisLatestReadings
from workers.heartbeats.machine import Machine

pytestmark = pytest.mark.service

PLANT = "php"

WRITERS, READERS, SECONDS = 4, 2, 2.0


@pytest.fixture(autouse=True)
def installed() -> None:
    try:
        php.php()
    except NotInstalled as error:
        without(error)


@pytest.fixture(autouse=True)
def client(redis_url: str) -> Iterator[Any]:
    """Redis, empty."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        client.flushdb()
        yield client


def call(redis_url: str, *calls: tuple[str, Any]) -> list[Any]:
    """What PHP's cache answers."""
    return php.run("sensor.php", redis_url, PLANT, say=[{"call": each} for each in calls])


def beat(seq: int, **fields: Any) -> dict[str, Any]:
    return {"machine": "press-1", "seq": seq, "seenAt": 1.7e9 + seq + 0.1, "status": "running", **fields}


def test_given_a_beat_that_php_sets_then_it_lies_where_the_platform_looks_and_is_told(
    redis_url: str, client: Any
) -> None:
    with client.pubsub() as news:
        news.subscribe(plant_key(PLANT))
        news.get_message(timeout=5)

        assert call(redis_url, ("set", beat(7, rpm=0.1 + 0.2))) == [True]

        told = json.loads(news.get_message(timeout=5)["data"])
    kept = client.hgetall(sensor_key(PLANT, "press-1"))
    assert set(kept) == set(FIELDS)
    assert (kept["seq"], float(kept["seen_at"]), float(kept["rpm"])) == ("7", 1.7e9 + 7.1, 0.1 + 0.2)
    assert (kept["status"], kept["temperature_c"]) == ("running", "")
    assert client.ttl(sensor_key(PLANT, "press-1")) > 86_000
    assert client.zrange(plant_key(PLANT), 0, -1) == ["press-1"]
    assert client.zscore(PLANTS_KEY, PLANT) == pytest.approx(float(kept["received_at"]))
    assert [(each["plant"], each["machine"], each["seq"], each["rpm"]) for each in told] == [
        (PLANT, "press-1", 7, 0.1 + 0.2)
    ]


def test_given_what_the_coalescer_wrote_then_php_reads_it(redis_url: str) -> None:
    machine = Machine(PLANT, "press-1")
    machine.seen_at, machine.seq, machine.status, machine.rpm = 1.7e9 + 0.1, 3, "fault", 1480.25
    live = RedisLatestReadings(redis_url, 60)
    live.publish({machine: 1.7e9 + 1})
    live.close()

    one, everything, nothing = call(redis_url, ("get", "press-1"), ("all", None), ("get", "press-2"))

    assert one == everything["press-1"]
    assert (one["seenAt"], one["receivedAt"], one["seq"]) == (1.7e9 + 0.1, 1.7e9 + 1, 3)
    assert (one["status"], one["rpm"], one["temperature"]) == ("fault", 1480.25, None)
    assert nothing is None


def test_given_an_older_beat_then_it_never_replaces_a_newer_one_and_a_deleted_machine_is_gone(
    redis_url: str,
) -> None:
    said = call(
        redis_url,
        ("set", beat(2)),
        ("set", beat(1)),
        ("get", "press-1"),
        ("delete", "press-1"),
        ("get", "press-1"),
        ("all", None),
    )

    assert said[:2] == [True, False]
    assert said[2]["seq"] == 2
    assert said[4:] == [None, []]


def test_given_many_writers_of_the_same_machines_then_no_reader_ever_sees_a_torn_value(
    redis_url: str,
) -> None:
    writers = [php.start("sensors.php", "write", redis_url, PLANT, "20", str(SECONDS)) for _ in range(WRITERS)]
    readers = [php.start("sensors.php", "read", redis_url, PLANT, str(SECONDS)) for _ in range(READERS)]

    written = [json.loads(process.communicate(timeout=60)[0]) for process in writers]
    seen = [json.loads(process.communicate(timeout=60)[0]) for process in readers]

    assert min(written) > 0
    assert sum(each["readings"] for each in seen) > 0
    assert sum(each["torn"] for each in seen) == 0
