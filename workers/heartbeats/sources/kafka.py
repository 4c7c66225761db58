"""Reads a Kafka topic with all its partitions (confluent-kafka, from the extra `bulkhead[kafka]`).

Partitions are assigned manually, and no offset is committed to Kafka: the lease decides which process reads, and the
offsets in the sink's transaction decide from where. So no rebalance of a consumer group can revoke a partition in the
middle of a window.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from tasks.errors import InvalidInput
from workers.heartbeats.sources import Batch, SourceLost, missing_record_error

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message

METADATA_TIMEOUT = 5.0  # seconds in which a broker must list the partitions

MAX_MESSAGES = 10_000  # of one poll

# Seconds between checks for added partitions.
PARTITIONS_INTERVAL = 30.0

# Settings that a URL must not change, because they prevent the loss of records.
FIXED_CONFIG: dict[str, Any] = {
    "group.id": "bulkhead-coalescer",  # librdkafka requires a name; no group is joined
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",  # a missing offset must be reported, not skipped
    "allow.auto.create.topics": False,
    "log_level": 0,  # errors that matter are raised
}


class InvalidSource(InvalidInput):
    """BULKHEAD_HEARTBEATS_SOURCE must be corrected before anything can be read."""

    code = "invalid-source"


class KafkaSource:
    """The topic at `url`: `kafka://host:9092,host:9092/topic?security.protocol=SASL_SSL&sasl.username=…`.

    The query string holds settings of librdkafka (see its CONFIGURATION.md). Raises InvalidSource.
    """

    def __init__(self, url: str) -> None:
        try:
            from confluent_kafka import KafkaException
        except ImportError as error:
            raise InvalidSource("BULKHEAD_HEARTBEATS_SOURCE needs the extra: pip install 'bulkhead[kafka]'.") from error
        self._errors = KafkaException
        self._topic = topic_name(url)
        parts = urlsplit(url)
        custom = dict(parse_qsl(parts.query))
        if forbidden := sorted(custom.keys() & FIXED_CONFIG.keys()):
            raise InvalidSource(f"BULKHEAD_HEARTBEATS_SOURCE must not set {', '.join(forbidden)}.")
        self._config = {**custom, **FIXED_CONFIG, "bootstrap.servers": parts.netloc, "error_cb": self._on_error}
        self._consumer: Consumer | None = None
        self._partitions: frozenset[int] = frozenset()
        self._offsets: dict[int, int] = {}
        self._partitions_checked_at = 0.0
        self._down_error: KafkaError | None = None
        self._waiting: deque[Batch] = deque()

    def open(self, offsets: Mapping[int, int]) -> None:
        from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

        self.close()
        self._down_error = None
        self._offsets = dict(offsets)
        try:
            self._consumer = self._create_consumer(Consumer)
            self._partitions = self._list_partitions(self._consumer)
            if missing := sorted(offsets.keys() - self._partitions):
                raise missing_record_error(offsets[missing[0]])
            self._consumer.assign(
                [TopicPartition(self._topic, each, offsets.get(each, OFFSET_BEGINNING)) for each in self._partitions]
            )
        except self._errors as error:
            self.close()
            raise self._source_lost(error) from error

    def poll(self, timeout: float) -> Batch | None:
        if self._consumer is None:
            raise SourceLost(f"Kafka's topic {self._topic} is not open.")
        if not self._waiting:
            try:
                self._check_partitions(self._consumer)
                self._waiting.extend(to_batches(self._checked(self._consumer.consume(MAX_MESSAGES, timeout))))
            except self._errors as error:
                raise self._source_lost(error) from error
        if self._waiting:
            return self._waiting.popleft()
        if self._down_error is not None:
            raise self._source_lost(self._down_error)
        return None

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._waiting.clear()
        if consumer is not None:
            consumer.close()

    def _create_consumer(self, consumer_class: type["Consumer"]) -> "Consumer":
        try:
            return consumer_class(self._config)
        except self._errors as error:  # a setting that librdkafka does not know
            raise InvalidSource(f"BULKHEAD_HEARTBEATS_SOURCE cannot be used: {error}.") from error

    def _list_partitions(self, consumer: "Consumer") -> frozenset[int]:
        """The partitions of the topic."""
        self._partitions_checked_at = time.monotonic()
        topic = consumer.list_topics(self._topic, timeout=METADATA_TIMEOUT).topics[self._topic]
        if topic.error is not None:
            raise self._source_lost(topic.error)
        return frozenset(topic.partitions)

    def _check_partitions(self, consumer: "Consumer") -> None:
        if time.monotonic() - self._partitions_checked_at < PARTITIONS_INTERVAL:
            return
        if self._list_partitions(consumer) != self._partitions:
            raise SourceLost(f"Kafka's topic {self._topic} has new partitions; it is opened again.")

    def _checked(self, messages: Iterable["Message"]) -> Iterator["Message"]:
        """The messages. Raises an error where one of them is an error."""
        from confluent_kafka import KafkaError

        for message in messages:
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise missing_record_error(self._offsets.get(message.partition() or 0, 0))
            else:
                raise self._source_lost(error)

    def _on_error(self, error: "KafkaError") -> None:
        """Remember that all brokers are down; librdkafka recovers from smaller errors by itself."""
        if error.code() == error._ALL_BROKERS_DOWN:
            self._down_error = error

    def _source_lost(self, error: object) -> SourceLost:
        return SourceLost(f"Kafka's topic {self._topic} cannot be read: {error}.")


def topic_name(url: str) -> str:
    """The topic in a URL."""
    return urlsplit(url).path.removeprefix("/")


def to_batches(messages: Iterable["Message"]) -> Iterator[Batch]:
    """Group consecutive messages of a partition: transactions and compaction leave gaps."""
    bodies: list[bytes] = []
    partition = last = -1
    at = 0
    for message in messages:
        current, offset = message.partition() or 0, message.offset() or 0
        if bodies and (current != partition or offset != last + 1):
            yield Batch(bodies, last, at / 1000, partition)
            bodies = []
        partition, last, at = current, offset, message.timestamp()[1]
        value = message.value()
        bodies.append(value.encode() if isinstance(value, str) else value or b"")
    if bodies:
        yield Batch(bodies, last, at / 1000, partition)
