"""No property of a message, whatever its bytes, may raise in the middle of a connection."""

import struct

import pytest
from amqp import serialization
from amqp.basic_message import Message
from amqp.spec import Basic
from hypothesis import given
from hypothesis import strategies as st

from tasks.messaging.compatibility import UNREADABLE_HEADER, tolerate_malformed_properties


@pytest.fixture(autouse=True, scope="module")
def tolerant() -> None:
    tolerate_malformed_properties()
    tolerate_malformed_properties()


def read(buffer: bytes) -> dict[str, object]:
    properties, end = serialization.PROPERTY_CLASSES[Basic.CLASS_ID](buffer, 0)
    assert end <= len(buffer)
    return dict(properties)


def test_readable_properties_are_read_as_ever() -> None:
    properties = {"content_type": "application/json", "application_headers": {"id": "é", "n": [1, None, {"a": True}]}}

    assert read(Message("", **properties)._serialize_properties()) == properties


@pytest.mark.parametrize(
    ("buffer", "says"),
    [
        (struct.pack(">H", 0x8000) + b"\x01\xff", "UnicodeDecodeError"),
        (struct.pack(">HI", 0x2000, 10) + b"\x01tT" + struct.pack(">Q", 2**63), "Error"),
        (struct.pack(">HI", 0x2000, 3) + b"\x01t?", "Unknown value in table"),
        (struct.pack(">H", 0x8000) + b"", "unpack_from requires"),
        (struct.pack(">H", 0x0004) + b"\x01", "truncated"),
    ],
)
def test_unreadable_properties_leave_one_header_that_says_why(buffer: bytes, says: str) -> None:
    headers = read(buffer)["application_headers"]

    assert isinstance(headers, dict)
    assert list(headers) == [UNREADABLE_HEADER]
    assert says in headers[UNREADABLE_HEADER]


def test_a_body_called_compressed_is_left_as_it_is_and_marked() -> None:
    buffer = Message("", application_headers={"id": "x", "compression": "application/x-gzip"})._serialize_properties()

    assert read(buffer) == {"application_headers": {"id": "x", UNREADABLE_HEADER: "compressed bodies are not accepted"}}


@given(st.binary(max_size=300))
def test_any_bytes_at_all_are_read_or_marked(buffer: bytes) -> None:
    assert isinstance(read(buffer), dict)
