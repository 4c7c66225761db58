"""Verify the checksums of Deflate-compressed TIFF strips (RFC 1950), which the decoder does not read."""

import zlib
from pathlib import Path
from typing import BinaryIO

from tasks.plan import Plan
from tasks.plan.tiff import deflate_blocks

# Bytes read, and bytes decompressed, at a time.
_COMPRESSED_CHUNK, _DECOMPRESSED_CHUNK = 64 * 1024, 1024 * 1024

# Twice 8 channels of 16 bits: no valid image has more bytes a pixel.
_MAX_BYTES_PER_PIXEL = 32


def find_damage(path: Path, page: int, plan: Plan) -> str:
    """Describe the first damage in a strip or tile of `page`; empty if there is none, or no checksum.

    Decompresses each strip once and discards the result: 2 MB of memory, and 2 to 4 ns a decompressed byte.
    """
    remaining = _MAX_BYTES_PER_PIXEL * (plan.width or 1) * (plan.height or 1) + _DECOMPRESSED_CHUNK
    with path.open("rb") as file:
        for number, (offset, count) in enumerate(list(deflate_blocks(file, plan.size, page))):
            file.seek(offset)
            try:
                remaining -= _inflate(file, count, remaining)
            except zlib.error as error:
                return f"strip {number}: {str(error).rpartition(': ')[2]}"
    return ""


def _inflate(file: BinaryIO, count: int, limit: int) -> int:
    """Decompress `count` bytes and return the decompressed size. Raises `zlib.error` for damage, and beyond `limit`."""
    stream, size = zlib.decompressobj(), 0
    while count and not stream.eof:
        data = file.read(min(_COMPRESSED_CHUNK, count))
        if not data:
            break
        count -= len(data)
        while data and not stream.eof:
            size += len(stream.decompress(data, _DECOMPRESSED_CHUNK))
            data = stream.unconsumed_tail
            if size > limit:
                raise zlib.error("more data than the image has")
    return size
