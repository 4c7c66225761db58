"""What every source keeps to: records in order, each once, from any offset on; and what is lost is said."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from kombu import Connection

from tasks.topology import HEARTBEATS
from tests.conftest import Broker
from tests.integration.renders import celery_app
from tests.services.heartbeats import Plant, publish
from workers.coalescer.sources import Batch, PositionLost, Resume, Source, SourceLost
from workers.coalescer.sources.amqp import AmqpSource
from workers.coalescer.sources.stream import StreamSource

pytestmark = pytest.mark.service

SOURCES: dict[str, Callable[[Broker], Source]] = {
    "stream": lambda broker: StreamSource(broker.stream_url, HEARTBEATS),
    "amqp": lambda broker: AmqpSource(celery_app(broker.url)),
}


@pytest.fixture
def stream(broker: Broker) -> Iterator[Broker]:
    """A broker whose stream of heartbeats is new."""
    forget(broker)
    yield broker
    forget(broker)


@pytest.fixture(params=sorted(SOURCES))
def source(request: pytest.FixtureRequest, stream: Broker) -> Iterator[Source]:
    made = SOURCES[request.param](stream)
    yield made
    made.close()


def forget(broker: Broker) -> None:
    with Connection(broker.url) as connection, connection.channel() as channel:
        channel.queue_delete(HEARTBEATS)


def read(source: Source, count: int, resume: Resume | None = None) -> list[Batch]:
    """Batches until there are so many records, those before the position left out."""
    batches: list[Batch] = []
    for _ in range(500):
        batch = source.take(0.2)
        if batch is not None and resume is not None:
            batch = resume.admit(batch)
        if batch is not None and batch.bodies:
            batches.append(batch)
        if sum(len(each.bodies) for each in batches) >= count:
            break
    return batches


def bodies(batches: list[Batch]) -> list[bytes]:
    return list(itertools.chain.from_iterable(batch.bodies for batch in batches))


def test_given_records_when_opened_at_the_oldest_then_all_come_in_order_with_offsets_that_follow(
    stream: Broker, source: Source
) -> None:
    sent = publish(stream.url, Plant().messages(40))
    source.open(None)
    sent += publish(stream.url, Plant("bern").messages(10))

    batches = read(source, len(sent))

    assert bodies(batches) == sent
    assert batches[0].first == 0
    assert [batch.first for batch in batches[1:]] == [batch.last + 1 for batch in batches[:-1]]
    assert source.take(0.1) is None


def test_given_a_position_when_opened_there_then_reading_goes_on_after_it(stream: Broker, source: Source) -> None:
    sent = publish(stream.url, Plant().messages(40))
    source.open(None)
    position = read(source, 10)[0].position
    source.close()
    resume = Resume(position)

    source.open(resume.offset)

    assert bodies(read(source, len(sent) - position.offset - 1, resume)) == sent[position.offset + 1 :]


def test_given_a_stream_made_anew_when_opened_at_the_position_then_that_is_noticed(
    stream: Broker, source: Source
) -> None:
    sent = publish(stream.url, Plant().messages(20))
    source.open(None)
    position = read(source, len(sent))[-1].position
    source.close()
    forget(stream)
    publish(stream.url, Plant("bern").messages(30))
    resume = Resume(position)

    source.open(resume.offset)

    with pytest.raises(PositionLost, match="the stream was made anew"):
        read(source, 1, resume)


def test_given_a_stream_that_is_deleted_while_it_is_read_then_that_is_said(stream: Broker, source: Source) -> None:
    publish(stream.url, Plant().messages(2))
    source.open(None)
    read(source, 2)

    forget(stream)

    with pytest.raises(SourceLost, match="cannot be read"):
        read(source, 1_000)


def test_given_a_broker_that_is_away_when_opened_then_that_is_said() -> None:
    for away in (StreamSource("rabbitmq-stream://127.0.0.1:1/", "x"), AmqpSource(celery_app("amqp://127.0.0.1:1//"))):
        with pytest.raises(SourceLost, match=r"(?i)refused"):
            away.open(None)
        with pytest.raises(SourceLost, match="not open"):
            away.take(0.1)
