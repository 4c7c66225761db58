"""Extracts the body of an AMQP 1.0 message, the format of a stream's records.

A message is a sequence of sections, each a described value (OASIS AMQP 1.0, part 3).
"""

DATA_SECTION = 0x75
VALUE_SECTION = 0x77

# Constructors of the types that a section may have, by the width of their size field (part 1, 1.6).
EMPTY_LIST = 0x45
SIZE_1_BYTE = frozenset({0xA0, 0xA1, 0xC0, 0xC1})
SIZE_4_BYTES = frozenset({0xB0, 0xB1, 0xD0, 0xD1})
BINARY_OR_TEXT = frozenset({0xA0, 0xA1, 0xB0, 0xB1})


NO_BODY = (0, 0, 0)


class BodyExtractor:
    """Extracts bodies. Records of one publisher start alike, so the place of the previous body is tried first."""

    def __init__(self) -> None:
        self._prefix = b""
        self._width = 0

    def __call__(self, record: bytes) -> bytes:
        """The first data section, or the value, of `record`.

        The whole record if it is not an AMQP message; empty if the message has no body.
        """
        prefix = self._prefix
        if prefix and record.startswith(prefix):
            start = len(prefix) + self._width
            if len(record) - start == int.from_bytes(record[len(prefix) : start], "big"):
                return record[start:]
        if not record.startswith(b"\x00"):
            return record
        try:
            size_at, start, end = _locate(record)
        except IndexError:
            return b""
        self._prefix = record[:size_at] if end == len(record) else b""
        self._width = start - size_at
        return record[start:end]


def _locate(record: bytes) -> tuple[int, int, int]:
    """Offsets of the body's size field, of its first byte, and of its end."""
    at = 0
    while True:
        if record[at : at + 2] != b"\x00\x53":  # a described value with a descriptor of one byte
            return NO_BODY
        section, kind = record[at + 2], record[at + 3]
        if kind == EMPTY_LIST:
            at += 4
            continue
        if kind in SIZE_1_BYTE:
            size, start = record[at + 4], at + 5
        elif kind in SIZE_4_BYTES:
            size, start = int.from_bytes(record[at + 4 : at + 8], "big"), at + 8
        else:
            return NO_BODY
        if section in (DATA_SECTION, VALUE_SECTION):
            return (at + 4, start, start + size) if kind in BINARY_OR_TEXT else NO_BODY
        at = start + size
