"""DXF: layers from the TABLES section, where the entities lie, and the end marker; ASCII or binary.

Drawings up to `WHOLE_BYTES` are read whole. Larger ones keep their tables and blocks in memory only, and their
entities are streamed from the file (`workers.render.vector.reader.document`).
"""

import re
from typing import BinaryIO

from tasks.plan.model import Header, Truncated
from tasks.plan.tail import read_tail

WINDOW = 4 * 1024 * 1024
OVERLAP = 256  # longer than any section's head

# Larger drawings are streamed. ezdxf's document of one that is not takes up to 160 MB beside the process.
MAX_IN_MEMORY_BYTES = 4 * 1024 * 1024

# ezdxf's document beside the text; and reading plus drawing it, measured on drawings of 0.1 to 130 MB.
DOCUMENT_BYTES_PER_BYTE = 40
SECONDS_PER_BYTE = 1.2e-6
# What a streamed drawing takes: the display list before it is spilled, and the part being read or painted.
STREAM_BYTES = 96 * 1024**2
# Vectors are painted, handed on and forgotten: 8 bytes a pixel in ImageMagick + 14 in libwebp, and some slack.
BYTES_PER_PIXEL = 26
BINARY_EXPANSION = 3  # a binary DXF says the same in about a third of the bytes

MAGIC = b"AutoCAD Binary DXF"

_ASCII_LAYER = re.compile(rb"\n[ \t]*0[ \t]*\r?\n[ \t]*LAYER[ \t]*\r?\n")
_ASCII_TABLES = re.compile(rb"\n[ \t]*2[ \t]*\r?\n[ \t]*TABLES\b")
_ASCII_ENDSEC = re.compile(rb"\n[ \t]*ENDSEC\b")
_ASCII_EOF = re.compile(rb"(?:\A|\n)[ \t]*0[ \t]*\r?\n[ \t]*EOF\b")
_ASCII_ENTITIES = re.compile(  # the first of all sections where a drawing has no other
    rb"(?:\A|\n)[ \t]*0[ \t]*\r?\n[ \t]*SECTION[ \t]*\r?\n[ \t]*2[ \t]*\r?\n[ \t]*ENTITIES[ \t]*\r?\n"
)
_ASCII_END = re.compile(rb"\n[ \t]*0[ \t]*\r?\n[ \t]*ENDSEC[ \t]*\r?\n")
# Group code 0 is one byte in R12 files and two bytes later; either way a zero byte stands before the name.
_BINARY_LAYER = re.compile(rb"\x00LAYER\x00(?=\x05|\x02|\x64)")
_BINARY_ENTITIES = re.compile(rb"\x00SECTION\x00\x02\x00?ENTITIES\x00")
_BINARY_END = re.compile(rb"\x00\x00ENDSEC\x00")
_BINARY_END_R12 = re.compile(rb"\x00ENDSEC\x00")
_R12_START = b"\r\n\x1a\x00\x00SECTION"


def read_header(file: BinaryIO, size: int) -> Header:
    """Layers, counted in the TABLES section; None where that lies beyond the window. Raises `Truncated` without EOF."""
    head = file.read(WINDOW)
    binary = head.startswith(MAGIC)
    end = read_tail(file, size)
    if not (b"EOF\x00" in end if binary else _ASCII_EOF.search(end)):
        raise Truncated("The DXF ends before its EOF mark. Export it again and check that the upload is complete.")
    text = size * (BINARY_EXPANSION if binary else 1)
    layers = len(_BINARY_LAYER.findall(head)) or None if binary else _count_layers(head)
    return Header(
        layers=layers,
        working_bytes=_working_bytes(file, size, text, binary=binary),
        seconds=0.1 + SECONDS_PER_BYTE * text,
        pixel_bytes=BYTES_PER_PIXEL,
    )


def find_entities_span(file: BinaryIO, *, binary: bool = False) -> tuple[int, int] | None:
    """Where the content of the ENTITIES section begins and ends, in bytes; None without a whole one.

    An ASCII one ends before the newline that its ENDSEC follows. Reads the file up to there, 4 MiB at a time.
    """
    start = _find(file, _BINARY_ENTITIES if binary else _ASCII_ENTITIES, 0)
    if start is None:
        return None
    begin = start[1]
    if not binary:  # the newline of its last line, and of an empty section its head's, begins the end
        end = _find(file, _ASCII_END, begin - 1)
        return (begin, end[0] + 1) if end else None
    file.seek(len(MAGIC))
    r12 = file.read(len(_R12_START)) == _R12_START
    end = _find(file, _BINARY_END_R12 if r12 else _BINARY_END, begin)
    return (begin, end[0]) if end else None


def _working_bytes(file: BinaryIO, size: int, text: int, *, binary: bool) -> int:
    whole = DOCUMENT_BYTES_PER_BYTE * text
    if size <= MAX_IN_MEMORY_BYTES:
        return whole
    span = find_entities_span(file, binary=binary)
    if span is None:
        return whole
    kept = size - (span[1] - span[0])
    if binary:  # all of it lies in memory as it is
        return min(whole, DOCUMENT_BYTES_PER_BYTE * BINARY_EXPANSION * kept + STREAM_BYTES + 2 * size)
    return min(whole, DOCUMENT_BYTES_PER_BYTE * kept + STREAM_BYTES)


def _find(file: BinaryIO, pattern: re.Pattern[bytes], start: int) -> tuple[int, int] | None:
    file.seek(start)
    rest, at = b"", start
    while block := file.read(WINDOW):
        window = rest + block
        found = pattern.search(window)
        if found:
            return at + found.start(), at + found.end()
        rest = window[-OVERLAP:]
        at += len(window) - len(rest)
    return None


def _count_layers(head: bytes) -> int | None:
    tables = _ASCII_TABLES.search(head)
    if tables is None:
        return None
    end = _ASCII_ENDSEC.search(head, tables.end())
    return len(_ASCII_LAYER.findall(head, tables.end(), end.start() if end else len(head))) or None
