"""Heartbeats from the broker into the table, for real."""

import time
from collections.abc import Callable, Iterator

import pytest
from kombu import Connection

from embedded.process import Process
from embedded.programs import coalescer_program
from tasks.topology import HEARTBEATS
from tests.conftest import Broker
from tests.services.heartbeats import Plant, expected, make_tables, publish, stored
from tests.services.mariadb import MariaDb
from tests.services.platform import Platform

pytestmark = pytest.mark.service

Start = Callable[..., Process]


@pytest.fixture
def table(mariadb: MariaDb) -> str:
    """URL of a MariaDB with the tables of heartbeats."""
    return make_tables(mariadb.fresh_database())


@pytest.fixture
def start(platform: Platform, broker: Broker, table: str) -> Iterator[Start]:
    """Starts coalescers on a new stream; keyword arguments are settings."""
    forget_stream(broker.url)
    usual = {"stream_url": broker.stream_url, "heartbeats_urls": table, "heartbeats_window": "0.5"}
    names = iter(range(100))

    def started(**settings: str) -> Process:
        environment = platform.environment_with(**{**usual, **settings})
        return platform.start(coalescer_program(f"coalescer{next(names)}", environment, platform.directory))

    yield started
    platform.stop()
    forget_stream(broker.url)


def forget_stream(url: str) -> None:
    with Connection(url) as connection, connection.channel() as channel:
        channel.queue_delete(HEARTBEATS)


def eventually(table: str, wanted: object, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while stored(table) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert stored(table) == wanted


def test_given_beats_when_coalesced_then_the_table_says_what_they_say(broker: Broker, start: Start, table: str) -> None:
    sent = publish(broker.url, Plant().messages(100))
    start()
    sent += publish(broker.url, Plant("bern", seed=2).messages(100))

    eventually(table, expected(sent))
