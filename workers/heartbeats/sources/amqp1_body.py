"""The body of a stream's record, which is a message of AMQP 1.0: sections, each a described value (OASIS, part 3)."""

DATA_SECTION = 0x75
VALUE_SECTION = 0x77

# Constructors of the types that a section may have (part 1, 1.6): width of the size, if any.
EMPTY_LIST = 0x45
SIZE_1_BYTE = frozenset({0xA0, 0xA1, 0xC0, 0xC1})
SIZE_4_BYTES = frozenset({0xB0, 0xB1, 0xD0, 0xD1})
BINARY_OR_TEXT = frozenset({0xA0, 0xA1, 0xB0, 0xB1})


NO_BODY = (0, 0, 0)


class BodyExtractor:
    """Finds bodies. Records of one publisher begin alike, so the body is looked for first where the last one was."""

    def __init__(self) -> None:
        self._prefix = b""
        self._width = 0

    def __call__(self, record: bytes) -> bytes:
        """The first data section, or the value, of `record`; all of it if it is no message of AMQP; else nothing."""
        before = self._prefix
        if before and record.startswith(before):
            start = len(before) + self._width
            if len(record) - start == int.from_bytes(record[len(before) : start], "big"):
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
    """Where the size of the body is, where the body begins and where it ends."""
    at = 0
    while True:
        if record[at : at + 2] != b"\x00\x53":  # a described value, its descriptor one byte
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
