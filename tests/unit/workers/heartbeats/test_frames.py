"""Frames with records are read as rstream reads them."""

import zlib

import pytest
from rstream.encoding import decode_frame
from rstream.schema import Deliver, Heartbeat

from workers.heartbeats.sources.frames import DELIVER_KEY, HEADER, decode, extract_records
from workers.heartbeats.sources.stream import follows

RECORDS = [b"one", b"", b"three" * 100]


def frame(data: bytes, entries: int, *, crc: int | None = None, version: int = 1) -> bytes:
    """The bytes of a frame: one chunk that begins at record 40."""
    checksum = zlib.crc32(data) if crc is None else crc
    return (
        HEADER.pack(DELIVER_KEY, version, 1, 0x50, 0, entries, entries, 1_000, 7, 40, checksum, len(data), 0, 0) + data
    )


def entries(records: list[bytes]) -> bytes:
    return b"".join(len(record).to_bytes(4, "big") + record for record in records)


def test_given_a_chunk_then_it_is_what_rstream_makes_of_it() -> None:
    raw = frame(entries(RECORDS), len(RECORDS))

    decoded = decode(bytearray(raw))

    assert isinstance(decoded, Deliver)
    assert decoded == decode_frame(raw)
    assert extract_records(decoded) == decoded.get_messages() == RECORDS
    assert (decoded.chunk_first_offset, decoded.timestamp) == (40, 1_000)


def test_given_another_frame_then_it_is_rstreams() -> None:
    assert isinstance(decode(b"\x00\x17\x00\x01"), Heartbeat)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (frame(entries(RECORDS), 3, crc=1), "Invalid checksum"),
        (frame(entries(RECORDS), 3)[:-1], "Invalid frame"),
        (frame(entries(RECORDS), 3, version=2), "version 2 of the stream protocol"),
    ],
)
def test_given_a_chunk_that_is_damaged_then_it_is_refused(raw: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decode(raw)


def test_given_chunks_then_one_follows_only_where_no_record_lies_between() -> None:
    first = decode(frame(entries(RECORDS), 3))
    assert isinstance(first, Deliver)
    following = Deliver(**{**vars(first), "chunk_first_offset": 43})

    assert follows(first, following)
    assert not follows(first, first)
    assert not follows(following, first)
