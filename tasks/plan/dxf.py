"""DXF, ASCII or binary: counts the layers of the TABLES section, locates the entities and checks the end marker.

Drawings up to `MAX_IN_MEMORY_BYTES` are read whole. Of larger ones only tables and blocks stay in memory; the entities
are streamed from the file (`workers.render.vector.reader.document`).
"""

import re
from typing import BinaryIO

from tasks.plan.model import Header, Truncated
from tasks.plan.tail import read_tail

WINDOW = 4 * 1024 * 1024
OVERLAP = 256  # longer than the start of any section

# Larger drawings are streamed. At this size ezdxf's document takes up to 160 MB on top of the process.
MAX_IN_MEMORY_BYTES = 4 * 1024 * 1024

# Memory of ezdxf's document, and time to read and draw it, per byte of text; measured on drawings of 0.1 to 130 MB.
DOCUMENT_BYTES_PER_BYTE = 40
SECONDS_PER_BYTE = 1.2e-6
# Memory of a streamed drawing: the display list before it spills to disk, and the chunk being read or painted.
STREAM_BYTES = 96 * 1024**2
# Vector layers are painted, encoded and released: 8 bytes a pixel in ImageMagick, 14 in libwebp, and some slack.
BYTES_PER_PIXEL = 26
BINARY_EXPANSION = 3  # a binary DXF has about a third of the bytes of the same drawing in ASCII

MAGIC = b"AutoCAD Binary DXF"

_ASCII_LAYER = re.compile(rb"\n[ \t]*0[ \t]*\r?\n[ \t]*LAYER[ \t]*\r?\n")
_ASCII_TABLES = re.compile(rb"\n[ \t]*2[ \t]*\r?\n[ \t]*TABLES\b")
_ASCII_ENDSEC = re.compile(rb"\n[ \t]*ENDSEC\b")
_ASCII_EOF = re.compile(rb"(?:\A|\n)[ \t]*0[ \t]*\r?\n[ \t]*EOF\b")
_ASCII_ENTITIES = re.compile(  # \A: the drawing may have no other section
    rb"(?:\A|\n)[ \t]*0[ \t]*\r?\n[ \t]*SECTION[ \t]*\r?\n[ \t]*2[ \t]*\r?\n[ \t]*ENTITIES[ \t]*\r?\n"
)
_ASCII_END = re.compile(rb"\n[ \t]*0[ \t]*\r?\n[ \t]*ENDSEC[ \t]*\r?\n")
# Group code 0 is one byte in R12 files and two bytes in later ones; in both a zero byte precedes the name.
_BINARY_LAYER = re.compile(rb"\x00LAYER\x00(?=\x05|\x02|\x64)")
_BINARY_ENTITIES = re.compile(rb"\x00SECTION\x00\x02\x00?ENTITIES\x00")
_BINARY_END = re.compile(rb"\x00\x00ENDSEC\x00")
_BINARY_END_R12 = re.compile(rb"\x00ENDSEC\x00")
_R12_START = b"\r\n\x1a\x00\x00SECTION"


def read_header(file: BinaryIO, size: int) -> Header:
    """Count the layers in the TABLES section (None if it lies beyond the window) and estimate the cost.

    Raises `Truncated` without an EOF marker.
    """
    head = file.read(WINDOW)
    binary = head.startswith(MAGIC)
    end = read_tail(file, size)
    if not (b"EOF\x00" in end if binary else _ASCII_EOF.search(end)):
        raise Truncated("The DXF ends before its EOF marker. Export it again and check that the upload is complete.")
    text = size * (BINARY_EXPANSION if binary else 1)
    layers = len(_BINARY_LAYER.findall(head)) or None if binary else _count_layers(head)
    return Header(
        layers=layers,
        working_bytes=_working_bytes(file, size, text, binary=binary),
        seconds=0.1 + SECONDS_PER_BYTE * text,
        pixel_bytes=BYTES_PER_PIXEL,
    )


def find_entities_span(file: BinaryIO, *, binary: bool = False) -> tuple[int, int] | None:
    """Return the byte offsets between which the content of the ENTITIES section lies; None if it is incomplete.

    In ASCII, the content ends before the newline that precedes ENDSEC. Reads the file up to there, 4 MiB at a time.
    """
    start = _find(file, _BINARY_ENTITIES if binary else _ASCII_ENTITIES, 0)
    if start is None:
        return None
    start_of_content = start[1]
    if not binary:  # the end pattern starts at the newline of the last line (of the section's start if it is empty)
        end = _find(file, _ASCII_END, start_of_content - 1)
        return (start_of_content, end[0] + 1) if end else None
    file.seek(len(MAGIC))
    r12 = file.read(len(_R12_START)) == _R12_START
    end = _find(file, _BINARY_END_R12 if r12 else _BINARY_END, start_of_content)
    return (start_of_content, end[0]) if end else None


def _working_bytes(file: BinaryIO, size: int, text: int, *, binary: bool) -> int:
    whole = DOCUMENT_BYTES_PER_BYTE * text
    if size <= MAX_IN_MEMORY_BYTES:
        return whole
    span = find_entities_span(file, binary=binary)
    if span is None:
        return whole
    in_memory = size - (span[1] - span[0])
    if binary:  # the raw bytes stay in memory
        return min(whole, DOCUMENT_BYTES_PER_BYTE * BINARY_EXPANSION * in_memory + STREAM_BYTES + 2 * size)
    return min(whole, DOCUMENT_BYTES_PER_BYTE * in_memory + STREAM_BYTES)


def _find(file: BinaryIO, pattern: re.Pattern[bytes], start: int) -> tuple[int, int] | None:
    file.seek(start)
    overlap, offset = b"", start
    while block := file.read(WINDOW):
        window = overlap + block
        match = pattern.search(window)
        if match:
            return offset + match.start(), offset + match.end()
        overlap = window[-OVERLAP:]
        offset += len(window) - len(overlap)
    return None


def _count_layers(head: bytes) -> int | None:
    tables = _ASCII_TABLES.search(head)
    if tables is None:
        return None
    end = _ASCII_ENDSEC.search(head, tables.end())
    return len(_ASCII_LAYER.findall(head, tables.end(), end.start() if end else len(head))) or None
