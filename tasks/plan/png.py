"""PNG: reads IHDR (PNG specification, section 11.2.2) and checks for the closing IEND chunk."""

import struct
from typing import BinaryIO

from tasks.plan.model import Header, Truncated, Unsupported
from tasks.plan.tail import read_tail

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ALPHA = frozenset({4, 6})
_GREY = 0
ALPHA_PIXEL_BYTES = 56  # libwebp encodes alpha separately
BAND_ROWS = 1024  # rows that libvips holds while it reads from top to bottom
SECONDS_PER_PIXEL = 8e-9  # libspng and the resize


def read_header(file: BinaryIO, size: int) -> Header:
    """Read the geometry from IHDR. Raises `Truncated` without IEND, `Unsupported` for an invalid header."""
    head = file.read(33)
    if len(head) < 33 or head[12:16] != b"IHDR" or b"IEND" not in read_tail(file, size):
        raise Truncated("The PNG is truncated: its last chunk is missing. Upload it again.")
    width, height, depth, colour, _compression, _filter, interlace = struct.unpack(">IIBBBBB", head[16:29])
    if not width or not height or colour not in _CHANNELS or depth not in {1, 2, 4, 8, 16}:
        raise Unsupported("The PNG header is not valid. Open the image in an editor and save it again.")
    row = -(-width * depth * _CHANNELS[colour] // 8)
    # With Adam7 interlacing the first row is complete only once every pixel is read; otherwise a band of rows suffices.
    working = row * height if interlace else row * min(height, BAND_ROWS)
    return Header(
        width,
        height,
        working_bytes=working,
        seconds=SECONDS_PER_PIXEL * width * height,
        pixel_bytes=ALPHA_PIXEL_BYTES if colour in _ALPHA else Header.pixel_bytes,
        channels=4 if colour in _ALPHA else 1 if colour == _GREY else 3,
    )
