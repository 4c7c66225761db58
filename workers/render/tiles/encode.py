"""Encode one tile as WebP, lossless or lossy by its content.

Uses Pillow, which passes 8-bit pixels to libwebp unchanged and releases the GIL meanwhile. CPU time of a lossless
512-pixel tile of line work: Pillow 1.4 ms, Wand 3.3 ms (converts to 16 bits and back), pyvips 3.5 ms (builds a pipeline
for every tile). The sizes are equal within 2 %. Takes 3 or 4 bytes a pixel twice (Pillow, libwebp) and up to 12 more in
libwebp: 5 MB a tile.
"""

import io

import numpy as np
from PIL import Image

from workers.render.raster import Pixels

# libwebp's settings for line work: method 0 is faster and smaller than lossy. In lossless mode, quality means effort.
LINE_WORK = {"lossless": True, "method": 0, "quality": 75}

# With so few colours (a bilevel scan at full size) method 1 uses a palette: 40 % fewer bytes for half a millisecond.
FEW_COLOURS = 16
PALETTE = {"lossless": True, "method": 1, "quality": 20}

# Line work that needs more than this is noisy (JPEG artefacts around lines): lossy may be smaller.
MAX_LOSSLESS_BYTES_PER_PIXEL = 1 / 8

# The same as for the preview.
PHOTOGRAPH = {"lossless": False, "method": 2, "quality": 80}

# A tile is a photograph if a smaller share of its pixels equals their right neighbour.
MIN_EQUAL_NEIGHBOURS = 0.4
SAMPLED_ROWS = 64


def encode_tile(pixels: Pixels) -> bytes:
    """Encode `pixels` (height, width, 1, 3 or 4 channels): lossless for line work, lossy for photographs."""
    picture = _to_image(pixels)
    if picture.mode == "L":
        picture = picture.convert("RGB")
    chosen = choose_settings(pixels)
    data = _webp(picture, chosen)
    if chosen is LINE_WORK and len(data) > MAX_LOSSLESS_BYTES_PER_PIXEL * picture.width * picture.height:
        return min(data, _webp(picture, PHOTOGRAPH), key=len)
    return data


def choose_settings(pixels: Pixels) -> dict[str, bool | int]:
    """Choose `LINE_WORK`, `PALETTE` or `PHOTOGRAPH` for a tile. Samples 64 of its rows."""
    rows = pixels[:: max(1, len(pixels) // SAMPLED_ROWS)]
    if _to_image(np.ascontiguousarray(rows)).getcolors(FEW_COLOURS):
        return PALETTE
    different = (rows[:, 1:] != rows[:, :-1]).any(axis=2)
    return PHOTOGRAPH if 1 - float(different.mean()) < MIN_EQUAL_NEIGHBOURS else LINE_WORK


def _webp(picture: Image.Image, chosen: dict[str, bool | int]) -> bytes:
    file = io.BytesIO()
    picture.save(file, "WEBP", **chosen)
    return file.getvalue()


def _to_image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def is_complete(data: bytes) -> bool:
    """Whether `data` has the length that its RIFF header declares (RFC 9649). An interrupted write leaves less."""
    return len(data) > 8 and data[:4] == b"RIFF" and int.from_bytes(data[4:8], "little") + 8 == len(data)


def uniform_pixel(pixels: Pixels) -> bytes | None:
    """Return the value of the pixel that fills the whole tile; None if the tile is not uniform."""
    if pixels.shape[2] == 4 and not pixels[..., 3].any():
        return bytes(4)  # fully transparent: the colours do not matter
    first = pixels[0, 0]
    if (pixels[0] != first).any() or (pixels != first).any():
        return None
    return np.ascontiguousarray(first).tobytes()
