"""JPEG: finds the frame header (ITU-T T.81, B.2.2) by skipping from marker to marker."""

import os
import struct
from typing import BinaryIO

from tasks.plan.model import Header, Truncated
from tasks.plan.tail import read_tail

_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..15 without DHT, JPG, DAC
_PROGRESSIVE_MARKERS = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
MAX_MARKERS = 4096
BAND_ROWS = 896  # measured; rows that libvips holds of a sequential JPEG
SECONDS_PER_PIXEL = 5e-9  # with libjpeg's shrink on load

_TRUNCATED = "The JPEG is truncated: image data is missing. Upload it again."


def read_header(file: BinaryIO, size: int) -> Header:
    """Read the geometry from the first frame header. Raises `Truncated` if that or the end marker is missing."""
    frame = _read_frame(file)
    if frame is None or b"\xff\xd9" not in read_tail(file, size):
        raise Truncated(_TRUNCATED)
    marker, height, width, components = frame
    # Decoding a progressive JPEG keeps all coefficients, 2 bytes each; a sequential one keeps a band of rows.
    rows = height if marker in _PROGRESSIVE_MARKERS else min(height, BAND_ROWS)
    working = 2 * width * rows * components
    seconds = SECONDS_PER_PIXEL * width * height
    return Header(width, height, working_bytes=working, seconds=seconds, channels=1 if components == 1 else 3)


def _read_frame(file: BinaryIO) -> tuple[int, int, int, int] | None:
    file.seek(2)
    for _ in range(MAX_MARKERS):
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            return None
        marker, length = head[1], int.from_bytes(head[2:4], "big")
        if marker == 0xFF:  # fill byte
            file.seek(-3, os.SEEK_CUR)
            continue
        if marker in _FRAME_MARKERS:
            body = file.read(6)
            if len(body) < 6:
                return None
            _precision, height, width, components = struct.unpack(">BHHB", body)
            return (marker, height, width, components) if width and height else None
        file.seek(length - 2, os.SEEK_CUR)
    return None
