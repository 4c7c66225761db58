"""Encode one tile as WebP, by what is on it.

Through Pillow, which hands 8-bit pixels to libwebp as they are and lets go of the interpreter while it works.
Measured on 512-pixel tiles of line work, lossless, in CPU time a tile: Pillow 1.4 ms, Wand 3.3 ms (it converts to 16
bits and back), pyvips 3.5 ms (it builds a pipeline for every tile). The bytes are the same within 2 %.
Costs 3 or 4 bytes a pixel twice (Pillow, libwebp) and up to 12 more while libwebp works: 5 MB a tile.
"""

import io

import numpy as np
from PIL import Image

from workers.render.raster import Pixels

# libwebp's settings. Line work: method 0 is both faster and smaller than lossy; quality is effort here, not loss.
LINE_WORK = {"lossless": True, "method": 0, "quality": 75}

# With so few colours (a bilevel scan at its own size) method 1 finds a palette: two fifths fewer bytes for half a
# millisecond.
FEW_COLOURS = 16
PALETTE = {"lossless": True, "method": 1, "quality": 20}

# Line work that needs more than this has noise in it (JPEG's around lines): lossy may well be smaller.
MAX_LOSSLESS_BYTES_PER_PIXEL = 1 / 8

# As the preview has them.
PHOTOGRAPH = {"lossless": False, "method": 2, "quality": 80}

# Fewer pixels than this that equal their right neighbour, and the tile is a photograph.
MIN_EQUAL_NEIGHBOURS = 0.4
SAMPLED_ROWS = 64


def encode_tile(pixels: Pixels) -> bytes:
    """WebP of `pixels` (height, width, 1, 3 or 4 channels): lossless for line work, lossy for photographs."""
    picture = _to_image(pixels)
    if picture.mode == "L":
        picture = picture.convert("RGB")
    chosen = choose_settings(pixels)
    data = _webp(picture, chosen)
    if chosen is LINE_WORK and len(data) > MAX_LOSSLESS_BYTES_PER_PIXEL * picture.width * picture.height:
        return min(data, _webp(picture, PHOTOGRAPH), key=len)
    return data


def choose_settings(pixels: Pixels) -> dict[str, bool | int]:
    """What suits a tile: `LINE_WORK`, `PALETTE` or `PHOTOGRAPH`. Looks at 64 of its rows."""
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
    """Whether `data` is as long as its RIFF header says (RFC 9649): a tile that an ended attempt left complete."""
    return len(data) > 8 and data[:4] == b"RIFF" and int.from_bytes(data[4:8], "little") + 8 == len(data)


def uniform_pixel(pixels: Pixels) -> bytes | None:
    """Value of the pixel that fills the whole tile; None where there is something to see."""
    if pixels.shape[2] == 4 and not pixels[..., 3].any():
        return bytes(4)  # whatever colours lie below: nothing of them can be seen
    first = pixels[0, 0]
    if (pixels[0] != first).any() or (pixels != first).any():
        return None
    return np.ascontiguousarray(first).tobytes()
