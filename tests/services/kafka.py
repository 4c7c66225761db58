"""A Kafka cluster inside this process: librdkafka's mock, three brokers on loopback, four partitions a topic."""

import json
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import confluent_kafka

TOPIC = "heartbeats"
PARTITIONS = 4
BROKERS = 3
JOIN = 60.0  # seconds for a consumer to be assigned its partitions
SESSION = 6.0  # seconds: the mock loses one in eight concurrent joins, which are retried after the session timeout


class Kafka:
    """It lives as long as its first producer. Other processes may read it too."""

    def __init__(self) -> None:
        settings = {"bootstrap.servers": "unused:1", "test.mock.num.brokers": BROKERS, "log_level": 0}
        self._producer: confluent_kafka.Producer | None = confluent_kafka.Producer(settings)
        brokers = self._producer.list_topics(timeout=10).brokers.values()
        self.servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        self.url = f"kafka://{self.servers}/{TOPIC}"
        self._producer.list_topics(TOPIC, timeout=10)  # creates it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def publish(self, bodies: Iterable[bytes], *, key: str | None = None) -> list[bytes]:
        """Publish messages with confirmation, to the partition of `key` or of their plant. Returns them."""
        assert self._producer is not None
        sent = list(bodies)
        for body in sent:
            self._producer.produce(TOPIC, body, key=key or json.loads(body)["plant"])
        assert self._producer.flush(10) == 0
        return sent

    def members(self, group: str, count: int) -> list[confluent_kafka.Consumer]:
        """Consumers that joined a group and were assigned partitions of the topic."""
        settings = {
            "bootstrap.servers": self.servers,
            "group.id": group,
            "session.timeout.ms": int(SESSION * 1000),
            "enable.auto.commit": False,
            "log_level": 0,
        }
        consumers = [confluent_kafka.Consumer(settings) for _ in range(count)]
        for consumer in consumers:
            consumer.subscribe([TOPIC])
        deadline = time.monotonic() + JOIN
        while not all(consumer.assignment() for consumer in consumers) and time.monotonic() < deadline:
            for consumer in consumers:
                consumer.poll(0.1)
        assert all(consumer.assignment() for consumer in consumers)
        return consumers

    def committed(self, group: str) -> set[int]:
        """Offsets that a group has committed; -1001 is none."""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.servers, "group.id": group, "log_level": 0})
        partitions = [confluent_kafka.TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
        offsets = consumer.committed(partitions, timeout=10)
        consumer.close()
        return {each.offset for each in offsets}

    def close(self) -> None:
        """Stop all brokers at once."""
        self._producer = None
