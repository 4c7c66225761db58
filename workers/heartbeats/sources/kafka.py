"""A topic of Kafka, all its partitions (confluent-kafka, of the extra `bulkhead[kafka]`).

Partitions are assigned by hand, and nothing is committed to Kafka: who reads is decided by the lease, and from where by
the offsets in the sink's transaction. So no rebalance of a consumer group can take a partition away in mid-window.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from workers.heartbeats.sources import Batch, SourceLost, missing_record_error

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message

METADATA_TIMEOUT = 5.0  # seconds in which a broker must tell what partitions there are

# Records of one look at most.
MAX_MESSAGES = 10_000

# Seconds between two looks for partitions that were added.
PARTITIONS_INTERVAL = 30.0

# What a URL may not change: it is why nothing is lost.
FIXED_CONFIG: dict[str, Any] = {
    "group.id": "bulkhead-coalescer",  # librdkafka wants a name; no group is joined
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",  # an offset that is gone must be said, not skipped
    "allow.auto.create.topics": False,
    "log_level": 0,  # what matters is raised
}


class InvalidSource(Exception):
    """BULKHEAD_HEARTBEATS_SOURCE must be corrected before anything can be read."""


class KafkaSource:
    """The topic at `url`: `kafka://host:9092,host:9092/topic?security.protocol=SASL_SSL&sasl.username=…`.

    What follows the question mark are librdkafka's own settings (its CONFIGURATION.md). Raises Unusable.
    """

    def __init__(self, url: str) -> None:
        try:
            from confluent_kafka import KafkaException
        except ImportError as error:
            raise InvalidSource("BULKHEAD_HEARTBEATS_SOURCE needs the extra: pip install 'bulkhead[kafka]'.") from error
        self._errors = KafkaException
        self._topic = topic_name(url)
        parts = urlsplit(url)
        own = dict(parse_qsl(parts.query))
        if refused := sorted(own.keys() & FIXED_CONFIG.keys()):
            raise InvalidSource(f"BULKHEAD_HEARTBEATS_SOURCE must not set {', '.join(refused)}.")
        self._config = {**own, **FIXED_CONFIG, "bootstrap.servers": parts.netloc, "error_cb": self._on_error}
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
            if gone := sorted(offsets.keys() - self._partitions):
                raise missing_record_error(offsets[gone[0]])
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

    def _create_consumer(self, kind: type["Consumer"]) -> "Consumer":
        try:
            return kind(self._config)
        except self._errors as error:  # a setting that librdkafka does not know
            raise InvalidSource(f"BULKHEAD_HEARTBEATS_SOURCE cannot be used: {error}.") from error

    def _list_partitions(self, consumer: "Consumer") -> frozenset[int]:
        """The partitions that there are."""
        self._partitions_checked_at = time.monotonic()
        topic = consumer.list_topics(self._topic, timeout=METADATA_TIMEOUT).topics[self._topic]
        if topic.error is not None:
            raise self._source_lost(topic.error)
        return frozenset(topic.partitions)

    def _check_partitions(self, consumer: "Consumer") -> None:
        if time.monotonic() - self._partitions_checked_at < PARTITIONS_INTERVAL:
            return
        if self._list_partitions(consumer) != self._partitions:
            raise SourceLost(f"Kafka's topic {self._topic} has other partitions now; it is read anew.")

    def _checked(self, messages: Iterable["Message"]) -> Iterator["Message"]:
        """The messages, unless one is an error."""
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
        """Note that no broker is left; librdkafka mends everything smaller by itself."""
        if error.code() == error._ALL_BROKERS_DOWN:
            self._down_error = error

    def _source_lost(self, error: object) -> SourceLost:
        return SourceLost(f"Kafka's topic {self._topic} cannot be read: {error}.")


def topic_name(url: str) -> str:
    """The topic that a URL names."""
    return urlsplit(url).path.removeprefix("/")


def to_batches(messages: Iterable["Message"]) -> Iterator[Batch]:
    """Messages that follow each other in their partition, together: transactions and compaction leave holes."""
    bodies: list[bytes] = []
    partition = last = -1
    at = 0
    for message in messages:
        here, offset = message.partition() or 0, message.offset() or 0
        if bodies and (here != partition or offset != last + 1):
            yield Batch(bodies, last, at / 1000, partition)
            bodies = []
        partition, last, at = here, offset, message.timestamp()[1]
        value = message.value()
        bodies.append(value.encode() if isinstance(value, str) else value or b"")
    if bodies:
        yield Batch(bodies, last, at / 1000, partition)
