"""Grouping the records of a topic into batches, and addresses of topics."""

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.settings import Settings
from workers.heartbeats.sources import Batch
from workers.heartbeats.sources.factory import source_name
from workers.heartbeats.sources.kafka import to_batches


class Record:
    """A record with the interface of librdkafka's."""

    def __init__(self, partition: int, offset: int, value: bytes | None) -> None:
        self.partition = lambda: partition
        self.offset = lambda: offset
        self.value = lambda: value
        self.timestamp = lambda: (1, 1_000 * offset)


def test_given_partitions_with_gaps_then_each_batch_has_one_partition_and_no_gap() -> None:
    records: list[Any] = [Record(0, 5, b"a"), Record(0, 6, b"b"), Record(0, 8, b"c"), Record(1, 9, b"d")]

    assert list(to_batches(records)) == [
        Batch([b"a", b"b"], 6, 6.0, 0),
        Batch([b"c"], 8, 8.0, 0),
        Batch([b"d"], 9, 9.0, 1),
    ]
    assert list(to_batches([])) == []


def test_given_a_record_without_a_value_then_its_body_is_empty() -> None:
    record: Any = Record(0, 0, None)

    assert next(to_batches([record])).bodies == [b""]


def test_given_a_topic_then_its_positions_have_another_name_than_the_streams() -> None:
    assert source_name(Settings.model_validate({})) == "heartbeats"
    topic = Settings.model_validate({"heartbeats_source": "kafka://a:1,b:2/plant.beats?security.protocol=SSL"})
    assert source_name(topic) == "kafka:plant.beats"


@pytest.mark.parametrize("url", ["kafka://a:1", "kafka://a:1/x/y", "amqp://a/x", f"kafka://a/{'x' * 58}", "kafka:///x"])
def test_given_an_invalid_topic_address_then_the_error_shows_a_valid_one(url: str) -> None:
    with pytest.raises(ValidationError, match="write it as kafka://host:port,host:port/topic"):
        Settings.model_validate({"heartbeats_source": url})
