"""The body of a stream's record, which is a message of AMQP 1.0: sections, each a described value (OASIS, part 3)."""

DATA = 0x75
VALUE = 0x77

# Constructors of the types that a section may have (part 1, 1.6): width of the size, if any.
EMPTY_LIST = 0x45
SHORT = frozenset({0xA0, 0xA1, 0xC0, 0xC1})
LONG = frozenset({0xB0, 0xB1, 0xD0, 0xD1})
BINARY_OR_TEXT = frozenset({0xA0, 0xA1, 0xB0, 0xB1})


def body_of(record: bytes) -> bytes:
    """The first data section, or the value, of `record`; all of it if it is no message of AMQP; else nothing."""
    if not record.startswith(b"\x00"):
        return record
    try:
        return _find_body(record)
    except IndexError:
        return b""


def _find_body(record: bytes) -> bytes:
    at = 0
    while True:
        if record[at : at + 2] != b"\x00\x53":  # a described value, its descriptor one byte
            return b""
        section, kind = record[at + 2], record[at + 3]
        if kind == EMPTY_LIST:
            at += 4
            continue
        if kind in SHORT:
            size, start = record[at + 4], at + 5
        elif kind in LONG:
            size, start = int.from_bytes(record[at + 4 : at + 8], "big"), at + 8
        else:
            return b""
        if section in (DATA, VALUE):
            return record[start : start + size] if kind in BINARY_OR_TEXT else b""
        at = start + size
