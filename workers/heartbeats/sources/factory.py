"""Creates the source that the settings name."""

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


def build_source(settings: Settings) -> Source:
    """Kafka if a topic is set; otherwise RabbitMQ, by the stream protocol if its address is set, else by AMQP."""
    if topic := settings.heartbeats_source.get_secret_value():
        return KafkaSource(topic)
    url = settings.stream_url.get_secret_value()
    return StreamSource(url, HEARTBEATS, declare_heartbeats_stream) if url else AmqpSource(app)


def source_name(settings: Settings) -> str:
    """The name under which positions are stored. Stream protocol and AMQP share one: they read the same records."""
    topic = settings.heartbeats_source.get_secret_value()
    return f"kafka:{topic_name(topic)}" if topic else HEARTBEATS


def declare_heartbeats_stream() -> None:
    """Create the stream if it does not exist. Raises one of BROKER_ERRORS."""
    opened = connect(app, DECLARE_TIMEOUT)
    try:
        declare_stream(opened.connection)
    finally:
        opened.drop()
