"""Detect a blueprint's format from its first bytes."""

import re
from pathlib import PurePath
from typing import BinaryIO

from tasks.plan.model import ACCEPTED_FORMATS, UnknownFormat, Unsupported

WINDOW = 4096

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    (b"AutoCAD Binary DXF\r\n\x1a\x00", "dxf"),
)
_DXF = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*(?:999[ \t]*\r?\n[^\n]*\n\s*)*0[ \t]*\r?\n[ \t]*SECTION\b")
_DWG = re.compile(rb"\AAC(?:10\d\d|1\.\d|2\.\d)")
_XML = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*<")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_PDF_WINDOW = 1024  # ISO 32000-1, implementation note 13: the header may lie anywhere in the first 1024 bytes


def detect_format(file: BinaryIO, filename: str = "") -> str:
    """Return the format of the blueprint.

    Raises `Unsupported` for archives, `UnknownFormat` for content that is not recognised.
    """
    head = file.read(WINDOW)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if b"%PDF-" in head[:_PDF_WINDOW]:
        return "pdf"
    if _DXF.match(head):
        return "dxf"
    if _DWG.match(head):
        return "dwg"
    if _XML.match(head) or head[:2] in _UTF16:
        return "svg"
    raise _unknown_format(head, filename)


def _unknown_format(head: bytes, filename: str) -> UnknownFormat | Unsupported:
    if head[:2] == b"\x1f\x8b" or head[:4] == b"PK\x03\x04":
        return Unsupported(f"This is a compressed archive. Unpack it and send the drawing inside ({ACCEPTED_FORMATS}).")
    label = PurePath(filename).suffix.lower()
    prefix = f"The file name ends in {label}, but its content is" if label else "The content is"
    return UnknownFormat(f"{prefix} not in a supported format. Send {ACCEPTED_FORMATS}.")
