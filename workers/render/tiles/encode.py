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
from workers.render.webp import LINE_WORK_TILE, PALETTE_TILE, PHOTOGRAPH, WebpSettings, is_photograph, sample_rows

# A tile with so few colours is encoded with a palette.
FEW_COLOURS = 16

# Line work that needs more than this is noisy (JPEG artefacts around lines): lossy may be smaller.
MAX_LOSSLESS_BYTES_PER_PIXEL = 1 / 8

SAMPLED_ROWS = 64


def encode_tile(pixels: Pixels) -> bytes:
    """Encode `pixels` (height, width, 1, 3 or 4 channels): lossless for line work, lossy for photographs."""
    image = _to_image(pixels)
    if image.mode == "L":
        image = image.convert("RGB")
    settings = choose_settings(pixels)
    data = _encode(image, settings)
    if settings is LINE_WORK_TILE and len(data) > MAX_LOSSLESS_BYTES_PER_PIXEL * image.width * image.height:
        return min(data, _encode(image, PHOTOGRAPH), key=len)
    return data


def choose_settings(pixels: Pixels) -> WebpSettings:
    """Choose `LINE_WORK_TILE`, `PALETTE_TILE` or `PHOTOGRAPH` for a tile. Samples 64 of its rows."""
    rows = sample_rows(pixels, SAMPLED_ROWS)
    if _to_image(np.ascontiguousarray(rows)).getcolors(FEW_COLOURS):
        return PALETTE_TILE
    return PHOTOGRAPH if is_photograph(rows) else LINE_WORK_TILE


def _encode(image: Image.Image, settings: WebpSettings) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=settings.lossless, method=settings.method, quality=settings.quality)
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
