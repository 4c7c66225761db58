"""Frames with records are decoded with the same result as by rstream."""

import zlib

import pytest
from rstream.encoding import decode_frame
from rstream.schema import Deliver, Heartbeat

from workers.heartbeats.sources.frames import DELIVER_KEY, HEADER, decode, extract_records
from workers.heartbeats.sources.stream import follows

RECORDS = [b"one", b"", b"three" * 100]


def frame(data: bytes, entries: int, *, crc: int | None = None, version: int = 1) -> bytes:
    """The bytes of a frame: one chunk that starts at record 40."""
    checksum = zlib.crc32(data) if crc is None else crc
    return (
        HEADER.pack(DELIVER_KEY, version, 1, 0x50, 0, entries, entries, 1_000, 7, 40, checksum, len(data), 0, 0) + data
    )


def entries(records: list[bytes]) -> bytes:
    return b"".join(len(record).to_bytes(4, "big") + record for record in records)


def test_given_a_chunk_then_it_equals_what_rstream_decodes() -> None:
    raw = frame(entries(RECORDS), len(RECORDS))

    decoded = decode(bytearray(raw))

    assert isinstance(decoded, Deliver)
    assert decoded == decode_frame(raw)
    assert extract_records(decoded) == decoded.get_messages() == RECORDS
    assert (decoded.chunk_first_offset, decoded.timestamp) == (40, 1_000)


def test_given_another_frame_then_rstream_decodes_it() -> None:
    assert isinstance(decode(b"\x00\x17\x00\x01"), Heartbeat)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (frame(entries(RECORDS), 3, crc=1), "Invalid checksum"),
        (frame(entries(RECORDS), 3)[:-1], "Invalid frame"),
        (frame(entries(RECORDS), 3, version=2), "version 2 of the stream protocol"),
    ],
)
def test_given_a_damaged_chunk_then_it_is_rejected(raw: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(raw)


def test_given_two_chunks_then_they_are_consecutive_only_without_a_gap() -> None:
    first = decode(frame(entries(RECORDS), 3))
    assert isinstance(first, Deliver)
    following = Deliver(**{**vars(first), "chunk_first_offset": 43})

    assert follows(first, following)
    assert not follows(first, first)
    assert not follows(following, first)
