"""WebP: reads the RIFF container and its first chunk (RFC 9649)."""

import struct
from typing import BinaryIO

from tasks.plan.model import Header, Truncated, Unsupported

SECONDS_PER_PIXEL = 15e-9


def read_header(file: BinaryIO, size: int) -> Header:
    """Read the canvas size. Raises `Truncated` if the container is longer than the file."""
    head = file.read(30)
    if len(head) < 30 or int.from_bytes(head[4:8], "little") + 8 > size:
        raise Truncated("The WebP file is shorter than its header declares. Upload it again.")
    width, height = _canvas(head[12:16], head[20:30])
    if not width or not height:
        raise _invalid()
    # libwebp decodes the whole image, 4 bytes a pixel, and libvips holds a copy.
    return Header(
        width, height, working_bytes=8 * width * height, seconds=SECONDS_PER_PIXEL * width * height, channels=4
    )


def _canvas(chunk: bytes, body: bytes) -> tuple[int, int]:
    if chunk == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if chunk == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF
    raise _invalid()


def _invalid() -> Unsupported:
    return Unsupported("The WebP header is not valid. Open the image in an editor and save it again.")
