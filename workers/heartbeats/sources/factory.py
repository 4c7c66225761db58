"""Which source the settings name."""

from tasks import app
from tasks.heartbeats import declare_stream
from tasks.messaging.connections import connect
from tasks.messaging.topology import HEARTBEATS
from tasks.settings import Settings
from workers.heartbeats.sources import Source
from workers.heartbeats.sources.amqp import AmqpSource
from workers.heartbeats.sources.kafka import KafkaSource, topic_name
from workers.heartbeats.sources.stream import StreamSource

DECLARE_TIMEOUT = 5.0  # seconds


def build_source(here: Settings) -> Source:
    """Kafka where it is named; else the stream by its own protocol where its address is known, by AMQP otherwise."""
    if topic := here.heartbeats_source.get_secret_value():
        return KafkaSource(topic)
    url = here.stream_url.get_secret_value()
    return StreamSource(url, HEARTBEATS, declare_heartbeats_stream) if url else AmqpSource(app)


def source_name(here: Settings) -> str:
    """What positions are kept under. Stream and AMQP are two ways to the same records."""
    topic = here.heartbeats_source.get_secret_value()
    return f"kafka:{topic_name(topic)}" if topic else HEARTBEATS


def declare_heartbeats_stream() -> None:
    """Make the stream if nobody has yet. Raises one of BROKER_ERRORS."""
    line = connect(app, DECLARE_TIMEOUT)
    try:
        declare_stream(line.connection)
    finally:
        line.drop()
