"""Images that are stored rotated or mirrored (EXIF orientation, TIFF tag 274): read upright in bounded memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyvips

from tasks.renders import REGION_SCALE, Region
from tasks.utils.units import GIB, format_bytes
from workers.render.errors import BlueprintError
from workers.render.raster import Box

UPRIGHT, MIRRORED, TRANSPOSED = 1, 2, 5  # from 5 on, rows and columns are exchanged

# Orientations whose upright image starts at the last stored column or row (TIFF 6.0, tag 274). They flip the stored
# image; orientations from 5 on transpose it afterwards.
_FLIPPED_HORIZONTALLY, _FLIPPED_VERTICALLY = frozenset({2, 3, 6, 7}), frozenset({3, 4, 7, 8})

# The largest copy on disk. An A0 sheet at 600 dpi in colour has 0.8 GB.
MAX_SCRATCH_BYTES = 2 * GIB

_SCRATCH_FILE = ".unpacked.tif"
_TILE = 512


def swaps_axes(image: "pyvips.Image") -> bool:
    """Whether setting the image upright exchanges width and height."""
    return _orientation(image) >= TRANSPOSED


def stored_box(image: "pyvips.Image", region: Region) -> Box:
    """Return the stored pixels of `region` (left, top, right, bottom of the upright image in ten-thousandths)."""
    orientation = _orientation(image)
    left, top, right, bottom = region
    if orientation in _FLIPPED_HORIZONTALLY:
        left, right = REGION_SCALE - right, REGION_SCALE - left
    if orientation in _FLIPPED_VERTICALLY:
        top, bottom = REGION_SCALE - bottom, REGION_SCALE - top
    if orientation >= TRANSPOSED:
        left, top, right, bottom = top, left, bottom, right
    x, y = left * image.width // REGION_SCALE, top * image.height // REGION_SCALE
    width, height = (
        round((right - left) * image.width / REGION_SCALE),
        round((bottom - top) * image.height / REGION_SCALE),
    )
    return x, y, min(max(1, width), image.width - x), min(max(1, height), image.height - y)


@contextmanager
def upright_image(image: "pyvips.Image", scratch: Path) -> Iterator["pyvips.Image"]:
    """Yield the sequential `image` upright; the result is sequential too.

    Mirroring is free. Any other orientation needs the last stored rows first, so the image is decoded into a tiled file
    in `scratch`, one byte a pixel and channel, that is deleted after the block. Raises `BlueprintError` (`too-large`)
    if the file would exceed 2 GiB.
    """
    orientation = _orientation(image)
    if orientation == UPRIGHT:
        yield image
    elif orientation == MIRRORED:
        yield image.fliphor()
    else:
        unpacked = scratch / _SCRATCH_FILE
        try:
            _write_scratch(image, unpacked)
            # A row of the upright image crosses many tiles; the line cache reads each tile once for all its rows.
            yield pyvips.Image.new_from_file(str(unpacked)).autorot().linecache(tile_height=_TILE)
        finally:
            unpacked.unlink(missing_ok=True)


def _orientation(image: "pyvips.Image") -> int:
    return int(image.get("orientation")) if image.get_typeof("orientation") else UPRIGHT


def _write_scratch(image: "pyvips.Image", path: Path) -> None:
    needed = image.width * image.height * image.bands
    if needed > MAX_SCRATCH_BYTES:
        raise BlueprintError(
            "too-large",
            f"This image of {image.width:,} x {image.height:,} pixels is stored rotated, and rotating it needs "
            f"{format_bytes(needed)} of disk. Save it upright, or render it without tiles.",
        )
    image.tiffsave(str(path), tile=True, tile_width=_TILE, tile_height=_TILE, bigtiff=True)
