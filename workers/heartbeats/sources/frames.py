"""Frames of RabbitMQ's stream protocol. Those with records are decoded in a tenth of the time that rstream takes.

A publisher of single records produces chunks of a few records, so the cost of a frame is the cost of a record. (Stream
protocol reference, "Deliver"; the chunk's header is that of osiris.)
"""

from struct import Struct

import rstream.connection
from rstream.encoding import decode_frame
from rstream.schema import Deliver, Frame

# Key, version, subscription, magic and chunk type, entries, records, timestamp (ms), epoch, first offset, CRC, lengths
# of data and trailer, reserved.
HEADER = Struct(">HHBbbHIqQQIIII")
DELIVER_KEY = 8
SUB_BATCH = 0x80  # set in the first byte of an entry that holds several records, possibly compressed

# rstream reads its socket in blocks of 256 bytes: a thousand times for one chunk.
READ_SIZE = 64 * 1024


def decode(data: bytes | bytearray) -> Frame:
    """Decode any frame, but not the records in it: see `extract_records`. Raises ValueError."""
    if int.from_bytes(data[:2], "big") != DELIVER_KEY:
        return decode_frame(bytes(data))
    _, version, *fields = HEADER.unpack_from(data)
    if version != 1:
        raise ValueError(f"The broker uses version {version} of the stream protocol; only version 1 is supported.")
    return Deliver(*fields, bytes(data[HEADER.size :]))  # type: ignore[call-arg] # it checks length and CRC


def extract_records(frame: Deliver) -> list[bytes]:
    """The records of a frame."""
    data, at, records = frame.data, 0, []
    for _ in range(frame.num_entries):
        if data[at] & SUB_BATCH:
            return frame.get_messages()
        start = at + 4
        at = start + int.from_bytes(data[at:start], "big")
        records.append(data[start:at])
    return records


def patch_rstream() -> None:
    """Make rstream's connections read larger blocks and use `decode`."""
    rstream.connection.CHUNK_SIZE = READ_SIZE
    vars(rstream.connection)["decode_frame"] = decode
