"""DXF: layers from the TABLES section and the end marker, ASCII or binary, by bounded scans of the bytes."""

import re
from typing import BinaryIO

from tasks.plan.model import Header, Truncated
from tasks.plan.tail import tail

WINDOW = 4 * 1024 * 1024

# ezdxf's document beside the text, and reading plus drawing it.
BYTES_PER_BYTE = 18
SECONDS_PER_BYTE = 1.2e-6
# Vectors are painted, handed on and forgotten: 8 bytes a pixel in ImageMagick + 14 in libwebp, and some slack.
BYTES_PER_PIXEL = 26
BINARY_DENSITY = 3  # a binary DXF says the same in about a third of the bytes

_ASCII_LAYER = re.compile(rb"\n[ \t]*0[ \t]*\r?\n[ \t]*LAYER[ \t]*\r?\n")
_ASCII_TABLES = re.compile(rb"\n[ \t]*2[ \t]*\r?\n[ \t]*TABLES\b")
_ASCII_ENDSEC = re.compile(rb"\n[ \t]*ENDSEC\b")
_ASCII_EOF = re.compile(rb"(?:\A|\n)[ \t]*0[ \t]*\r?\n[ \t]*EOF\b")
# Group code 0 is one byte in R12 files and two bytes later; either way a zero byte stands before the name.
_BINARY_LAYER = re.compile(rb"\x00LAYER\x00(?=\x05|\x02|\x64)")


def read(file: BinaryIO, size: int) -> Header:
    """Layers, counted in the TABLES section; None where that lies beyond the window. Raises `Truncated` without EOF."""
    head = file.read(WINDOW)
    binary = head.startswith(b"AutoCAD Binary DXF")
    end = tail(file, size)
    if not (b"EOF\x00" in end if binary else _ASCII_EOF.search(end)):
        raise Truncated("The DXF ends before its EOF mark. Export it again and check that the upload is complete.")
    text = size * (BINARY_DENSITY if binary else 1)
    layers = len(_BINARY_LAYER.findall(head)) or None if binary else _layers(head)
    return Header(
        layers=layers,
        working_bytes=BYTES_PER_BYTE * text,
        seconds=0.1 + SECONDS_PER_BYTE * text,
        pixel_bytes=BYTES_PER_PIXEL,
    )


def _layers(head: bytes) -> int | None:
    tables = _ASCII_TABLES.search(head)
    if tables is None:
        return None
    end = _ASCII_ENDSEC.search(head, tables.end())
    return len(_ASCII_LAYER.findall(head, tables.end(), end.start() if end else len(head))) or None
