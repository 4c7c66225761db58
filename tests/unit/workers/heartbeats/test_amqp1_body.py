"""Bodies of AMQP 1.0 records as brokers and clients write them."""

import pytest
from rstream import AMQPMessage, Properties

from workers.heartbeats.sources.amqp1_body import BodyExtractor

BODY = b'{"plant": "ulm"}'


def body_of(record: bytes) -> bytes:
    """The body as found by an extractor that has seen no other record."""
    return BodyExtractor()(record)


def test_given_a_plain_record_then_its_data_is_the_body() -> None:
    assert body_of(bytes(AMQPMessage(body=BODY))) == BODY


def test_given_a_record_with_annotations_and_properties_then_they_are_skipped() -> None:
    message = AMQPMessage(
        body=BODY * 100,
        message_annotations={"x-exchange": "bulkhead", "x-routing-key": "heartbeats"},
        application_properties={"long": "x" * 300},
        properties=Properties(content_type="application/json"),
    )

    assert body_of(bytes(message)) == BODY * 100


def test_given_a_record_with_a_text_value_then_that_is_the_body() -> None:
    assert body_of(b"\x00\x53\x77\xa1\x02{}") == b"{}"


def test_given_a_record_that_is_not_amqp_then_all_of_it_is_the_body() -> None:
    assert body_of(BODY) == BODY


@pytest.mark.parametrize(
    "record",
    [
        b"\x00",
        b"\x00\x53\x75",
        b"\x00\x80\x75\xa0\x01a",
        b"\x00\x53\x73\x45",
        b"\x00\x53\x75\x99\x01",
        b"\x00\x53\x75\xb0\x00\x00",
        b"\x00\x53\x77\xc0\x01\x00",
        b"\x00\x53\x73\xc0\xff\x00",
    ],
)
def test_given_a_truncated_or_invalid_record_then_it_has_no_body(record: bytes) -> None:
    assert body_of(record) == b""


def test_given_a_mixed_sequence_of_records_then_the_cached_prefix_does_not_change_the_result() -> None:
    plain = [bytes(AMQPMessage(body=BODY * size)) for size in (1, 1, 2, 30, 31, 1)]
    named = [bytes(AMQPMessage(body=BODY * size, properties=Properties(content_type="a"))) for size in (1, 40, 40)]
    unusual = [
        BODY,
        b"",
        b"\x00",
        b"\x00\x53\x77\xa1\x02{}",
        plain[0] + b"\x00\x53\x78\x45",
        plain[0][:-1],
        plain[3] + b"x",
    ]
    extractor = BodyExtractor()

    for record in [*plain, *named, *unusual, *plain, *unusual, *reversed(named), plain[0], *unusual]:
        assert extractor(record) == body_of(record)
