"""Heartbeats from the broker to the table and the latest readings, while processes are killed."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import redis
from kombu import Connection
from typer.testing import CliRunner

from cli import app as bulkhead
from cli.embedded.process import Process
from cli.embedded.programs import coalescer_program
from cli.errors import describe_error
from tasks.messaging.topology import HEARTBEATS
from tasks.sensors import plant_key
from tasks.settings import settings
from tests.conftest import Broker
from tests.services.faults.doomed import POINTS
from tests.services.heartbeats import Plant, expected, publish, stored
from tests.services.kafka import Kafka
from tests.services.mariadb import MariaDb
from tests.services.platform import Platform
from workers.heartbeats.migrate import migrate_tables
from workers.heartbeats.sources.kafka import FIXED_CONFIG

pytestmark = pytest.mark.service

LEASE = 1.0  # seconds, the minimum

GROUP = str(FIXED_CONFIG["group.id"])

Start = Callable[..., Process]


@pytest.fixture
def table(mariadb: MariaDb) -> str:
    """URL of a MariaDB with the tables of heartbeats."""
    url = mariadb.fresh_database()
    migrate_tables([url])
    return url


@pytest.fixture
def start(platform: Platform, broker: Broker, table: str, redis_url: str) -> Iterator[Start]:
    """Starts a coalescer on a new stream. Keyword arguments are settings; `doomed` is the point at which it dies."""
    delete_stream(broker.url)
    defaults = {
        "stream_url": broker.stream_url,
        "heartbeats_database_urls": table,
        "heartbeats_window": "0.2",
        "heartbeats_lease": str(LEASE),
        "redis_url": redis_url,
    }
    numbers = iter(range(100))

    def started(doomed: str = "", **overrides: str) -> Process:
        environment = platform.environment_with(**{**defaults, **overrides})
        program = coalescer_program(f"coalescer{next(numbers)}", environment, platform.directory)
        if doomed:
            program = replace(program, command=(sys.executable, "-m", "tests.services.faults.doomed", doomed))
        return platform.start(program)

    yield started
    platform.stop()
    delete_stream(broker.url)


def delete_stream(url: str) -> None:
    with Connection(url) as connection, connection.channel() as channel:
        channel.queue_delete(HEARTBEATS)


def eventually(read: Callable[[], object], expected: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while read() != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    assert read() == expected


def wait_for_end(process: Process, seconds: float = 20) -> str:
    deadline = time.monotonic() + seconds
    while (exit_text := process.describe_exit()) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert exit_text is not None
    return exit_text


def test_given_a_coalescer_that_is_killed_at_any_point_then_the_table_matches_the_beats(
    broker: Broker, start: Start, table: str
) -> None:
    plant = Plant()
    sent = publish(broker.url, plant.messages(50))
    for point in POINTS:
        dying = start(doomed=point)
        while dying.describe_exit() is None:
            sent += publish(broker.url, plant.messages(5))
            time.sleep(0.05)
        assert dying.describe_exit() == "it was killed by SIGKILL", point
    start()

    eventually(lambda: stored(table), expected(sent))


def test_given_a_stand_by_when_the_lease_owner_is_killed_then_it_takes_over(
    broker: Broker, start: Start, table: str
) -> None:
    first = start()
    sent = publish(broker.url, Plant().messages(20))
    eventually(lambda: stored(table), expected(sent))
    second = start(stream_url="")  # by AMQP, with the same offsets
    first.kill()
    sent += publish(broker.url, Plant("bern").messages(20))

    eventually(lambda: stored(table), expected(sent))
    assert second.describe_exit() is None


def test_given_a_stop_during_a_long_window_then_the_records_read_are_written(
    broker: Broker, start: Start, table: str, redis_url: str
) -> None:
    sent = publish(broker.url, Plant("graz").messages(20))
    process = start(heartbeats_window="3600")
    with redis.Redis.from_url(redis_url) as client:
        eventually(lambda: client.exists(plant_key("graz")), expected=1)  # so it has read
    time.sleep(0.5)
    assert stored(table) == {}

    process.request_stop()

    assert wait_for_end(process) == "it ended with exit code 0"
    assert stored(table) == expected(sent)


def test_given_a_broker_that_is_killed_then_reading_continues_at_its_position(
    broker: Broker, start: Start, table: str
) -> None:
    process = start()
    sent = publish(broker.url, Plant().messages(20))
    eventually(lambda: stored(table), expected(sent))

    broker.process.kill()
    broker.process.start()
    broker.process.wait_ready()
    sent += publish(broker.url, Plant("bern").messages(20))

    eventually(lambda: stored(table), expected(sent))
    assert process.describe_exit() is None


def test_given_a_recreated_stream_then_the_coalescer_stops_until_its_position_is_reset(
    broker: Broker, start: Start, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start()
    sent = publish(broker.url, Plant().messages(20))
    eventually(lambda: stored(table), expected(sent))
    process.stop()
    delete_stream(broker.url)
    sent += publish(broker.url, Plant("bern").messages(40))

    stopped = start()

    assert wait_for_end(stopped) == "it ended with exit code 78"
    assert "the stream is new. Run `bulkhead heartbeats reset` to continue" in stopped.log.read_text()
    monkeypatch.setenv("BULKHEAD_HEARTBEATS_DATABASE_URLS", table)
    settings.cache_clear()
    try:
        eventually(
            lambda: command_line("reset", "--yes"),
            (0, "The next coalescer starts at the oldest record of the stream.\n"),
        )
        start()
        eventually(lambda: stored(table), expected(sent))
        code, message = command_line("reset", "--yes")
        assert code == 2
        status = json.loads(command_line("status", "--json")[1])
    finally:
        settings.cache_clear()
    assert (status["machines"], status["plants"], status["flush_retries"]) == (40, 2, 0)
    assert status["lease_owner"] in message


def test_given_partitions_that_are_reassigned_during_a_window_then_nothing_is_lost(start: Start, table: str) -> None:
    with Kafka() as kafka:
        first = start(heartbeats_source=kafka.url, heartbeats_window="3600")
        plants = [Plant(name) for name in ("ulm", "bern", "graz", "linz")]
        sent = kafka.publish([body for plant in plants for body in plant.messages(20)])
        eventually(lambda: "Reading from" in first.log.read_text(), expected=True)
        second = start(heartbeats_source=kafka.url)
        group = kafka.members(GROUP, 2)  # they are assigned every partition in the consumer group
        sent += kafka.publish([body for plant in plants for body in plant.messages(20)])
        for member in group:
            member.close()
        assert stored(table) == {}

        first.kill()  # during its window: the other coalescer reads every partition
        sent += kafka.publish([body for plant in plants for body in plant.messages(20)])

        eventually(lambda: stored(table), expected(sent))
        assert second.describe_exit() is None
        assert kafka.committed(GROUP) == {-1001}  # no offset was ever committed to Kafka


def command_line(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(bulkhead.app, ["heartbeats", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        message, code = describe_error(result.exception)  # type: ignore[arg-type]
        return code, message
    return result.exit_code, result.output


def test_given_beats_over_http_then_readings_are_streamed_and_stale_machines_are_reported(
    platform: Platform, start: Start, redis_url: str
) -> None:
    platform.start_web(redis_url=redis_url, stale_after="6", heartbeat_interval="0.5", machines_per_plant="2")
    process = start(heartbeats_window="3600")
    eventually(lambda: "Reading from" in process.log.read_text(), expected=True)
    now = time.time()
    beat = {"machine": "press-07", "seq": 41, "seen_at": now, "status": "running", "rpm": 1480.5}
    with httpx.Client(base_url=platform.url, timeout=10) as client:
        events = stream_events(client, "enns")
        assert next(events) == ("sensors", [])
        assert send(client, beat, {**beat, "machine": "press-08"}) == (202, {"beats": 2})
        kind, readings = next(events)
        assert kind == "sensors"
        assert readings[0] == {
            **beat,
            "plant": "enns",
            "received_at": readings[0]["received_at"],
            "temperature_c": None,
            "vibration_mm_s": None,
            "state": "alive",
        }
        assert abs(readings[0]["received_at"] - time.time()) < 5
        assert client.get("/sensors/enns/press-07").json()["rpm"] == 1480.5

        send(client, {**beat, "seq": 40, "seen_at": now - 1, "rpm": 1.0})
        kind, readings = next(events)
        assert (kind, readings[0]["seq"], readings[0]["rpm"]) == ("sensors", 41, 1480.5)
        states: dict[str, str] = {}
        while len(states) < 2:
            kind, changed = next(events)
            assert kind == "state"
            states |= changed
        assert states == {"press-07": "stale", "press-08": "stale"}
        assert client.get("/sensors/enns/press-07").json()["rpm"] == 1480.5
        assert client.get("/sensors/enns/press-09").status_code == 404

        page = client.get("/sensors", params={"plant": "enns", "limit": 1}).json()
        assert ([each["machine"] for each in page["sensors"]], page["next"]) == (["press-07"], "press-07")
        page = client.get("/sensors", params={"plant": "enns", "after": page["next"]}).json()
        assert ([each["machine"] for each in page["sensors"]], page["next"]) == (["press-08"], None)

        status, problem = send(client, beat, {**beat, "machine": "press-09"})
        assert (status, problem["code"]) == (422, "too-many-machines")
        assert "New: press-09" in problem["detail"]


def send(client: httpx.Client, *beats: dict[str, Any]) -> tuple[int, Any]:
    response = client.post("/heartbeats", json={"plant": "enns", "beats": beats})
    return response.status_code, response.json()


def stream_events(client: httpx.Client, plant: str) -> Iterator[tuple[str, Any]]:
    with client.stream("GET", "/sensors/events", params={"plant": plant}) as response:
        kind = ""
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                yield kind, json.loads(value)
