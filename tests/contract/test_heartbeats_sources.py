"""The contract of every source: records in order, each once, from any offset on, and an error for lost records."""

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Protocol

import pytest
from kombu import Connection

from tasks.messaging.topology import HEARTBEATS
from tests.conftest import Broker
from tests.integration.jobs.renders import celery_app
from tests.services.heartbeats import Plant, publish
from tests.services.kafka import Kafka
from workers.heartbeats.sources import Batch, Position, PositionLost, ResumeCheck, Source, SourceLost
from workers.heartbeats.sources.amqp import AmqpSource
from workers.heartbeats.sources.kafka import InvalidSource, KafkaSource
from workers.heartbeats.sources.stream import StreamSource

pytestmark = pytest.mark.service


class RecordStore(Protocol):
    """A store of records, new for each test."""

    def publish(self, bodies: Iterable[bytes]) -> list[bytes]:
        """Append messages; returns them."""

    def source(self) -> Source:
        """A source that reads them."""

    def recreate(self) -> None:
        """Delete all records; offsets start again."""


class RabbitStream:
    """The stream of a broker, read by the stream protocol or by AMQP."""

    def __init__(self, broker: Broker, protocol: str) -> None:
        self._broker = broker
        self._protocol = protocol
        self.recreate()

    def publish(self, bodies: Iterable[bytes]) -> list[bytes]:
        return publish(self._broker.url, bodies)

    def source(self) -> Source:
        if self._protocol == "stream":
            return StreamSource(self._broker.stream_url, HEARTBEATS)
        return AmqpSource(celery_app(self._broker.url))

    def recreate(self) -> None:
        with Connection(self._broker.url) as connection, connection.channel() as channel:
            channel.queue_delete(HEARTBEATS)


class KafkaTopic:
    """A topic of four partitions."""

    def __init__(self) -> None:
        self._kafka = Kafka()

    def publish(self, bodies: Iterable[bytes]) -> list[bytes]:
        return self._kafka.publish(bodies)

    def source(self) -> Source:
        return KafkaSource(self._kafka.url)

    def recreate(self) -> None:
        self._kafka.close()
        self._kafka = Kafka()


@pytest.fixture(params=["stream", "amqp", "kafka"])
def record_store(request: pytest.FixtureRequest) -> Iterator[RecordStore]:
    store = KafkaTopic() if request.param == "kafka" else RabbitStream(request.getfixturevalue("broker"), request.param)
    yield store
    store.recreate()


@pytest.fixture
def source(record_store: RecordStore) -> Iterator[Source]:
    opened = record_store.source()
    yield opened
    opened.close()


def read(source: Source, count: int, resume: ResumeCheck | None = None) -> list[Batch]:
    """Poll until there are `count` records, not counting those before the positions."""
    batches: list[Batch] = []
    for _ in range(500):
        batch = source.poll(0.2)
        if batch is not None and resume is not None:
            batch = resume.filter(batch)
        if batch is not None and batch.bodies:
            batches.append(batch)
        if sum(len(each.bodies) for each in batches) >= count:
            break
    return batches


def bodies(batches: list[Batch]) -> list[bytes]:
    return list(itertools.chain.from_iterable(batch.bodies for batch in batches))


def from_plant(messages: Iterable[bytes], plant: str) -> list[bytes]:
    return [body for body in messages if json.loads(body)["plant"] == plant]


def positions(batches: list[Batch]) -> dict[int, Position]:
    return {batch.partition: batch.position for batch in batches}


def test_given_records_when_opened_at_the_oldest_then_all_arrive_in_order_with_consecutive_offsets(
    record_store: RecordStore, source: Source
) -> None:
    sent = record_store.publish(Plant().messages(40))
    source.open({})
    sent += record_store.publish(Plant("bern").messages(10))

    batches = read(source, len(sent))

    assert len(bodies(batches)) == len(sent)
    for plant in ("ulm", "bern"):
        assert from_plant(bodies(batches), plant) == from_plant(sent, plant)
    for partition in positions(batches):
        partition_batches = [batch for batch in batches if batch.partition == partition]
        assert partition_batches[0].first_offset == 0
        assert [batch.first_offset for batch in partition_batches[1:]] == [
            batch.last_offset + 1 for batch in partition_batches[:-1]
        ]
    assert source.poll(0.1) is None


def test_given_positions_when_opened_there_then_reading_continues_after_them(
    record_store: RecordStore, source: Source
) -> None:
    sent = record_store.publish([*Plant().messages(40), *Plant("bern").messages(40), *Plant("graz").messages(40)])
    source.open({})
    first = read(source, 10)
    source.close()
    resume = ResumeCheck(positions(first))

    source.open(resume.offsets)

    rest = read(source, len(sent) - len(bodies(first)), resume)
    assert sorted(bodies(first) + bodies(rest)) == sorted(sent)
    for plant in ("ulm", "bern", "graz"):
        assert from_plant(bodies(first) + bodies(rest), plant) == from_plant(sent, plant)


def test_given_a_recreated_stream_when_opened_at_the_position_then_it_raises_position_lost(
    record_store: RecordStore, source: Source
) -> None:
    sent = record_store.publish(Plant().messages(20))
    source.open({})
    resume = ResumeCheck(positions(read(source, len(sent))))
    source.close()
    record_store.recreate()
    record_store.publish(Plant(seed=2).messages(30))
    another = record_store.source()

    another.open(resume.offsets)

    with pytest.raises(PositionLost, match="the stream is new"):
        read(another, 1, resume)
    another.close()


def test_given_a_stream_that_is_deleted_while_it_is_read_then_it_raises_source_lost(
    record_store: RecordStore, source: Source
) -> None:
    record_store.publish(Plant().messages(2))
    source.open({})
    read(source, 2)

    record_store.recreate()

    with pytest.raises(SourceLost, match="cannot be read"):
        read(source, 1_000)


def test_given_an_unavailable_broker_when_opened_then_it_raises_source_lost() -> None:
    for source in (
        StreamSource("rabbitmq-stream://127.0.0.1:1/", "x"),
        AmqpSource(celery_app("amqp://127.0.0.1:1//")),
        KafkaSource("kafka://127.0.0.1:1/x"),
    ):
        with pytest.raises(SourceLost, match=r"(?i)refused|transport failure"):
            source.open({})
        with pytest.raises(SourceLost, match="not open"):
            source.poll(0.1)


def test_given_a_topic_that_ends_before_the_position_then_it_raises_position_lost_at_once() -> None:
    with Kafka() as kafka:
        kafka.publish(Plant().messages(5), key="same")
        source = KafkaSource(kafka.url)
        source.open({})
        partition = read(source, 1)[0].partition

        source.open({partition: 4_999})

        with pytest.raises(PositionLost, match=r"^Record 4999 does not exist: .* Run `bulkhead heartbeats reset` "):
            read(source, 1)
        with pytest.raises(PositionLost, match=r"^Record 7 does not exist"):
            source.open({99: 7})
        source.close()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("enable.auto.commit=true", r"must not set enable\.auto\.commit"),
        ("no.such.thing=1", r"cannot be used: .*no\.such\.thing"),
    ],
)
def test_given_an_invalid_setting_when_opened_then_the_error_names_it(query: str, message: str) -> None:
    with pytest.raises(InvalidSource, match=rf"^BULKHEAD_HEARTBEATS_SOURCE {message}"):
        KafkaSource(f"kafka://127.0.0.1:1/x?{query}").open({})


def test_given_a_missing_topic_then_it_raises_source_lost() -> None:
    with Kafka() as kafka, pytest.raises(SourceLost, match="topic missing cannot be read"):
        KafkaSource(kafka.url.replace("/heartbeats", "/missing")).open({})
