"""Pictures that are stored turned or mirrored (EXIF orientation, TIFF tag 274), set upright in bounded memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyvips

from tasks.renders import REGION_SCALE, Region
from workers.render.errors import BlueprintError
from workers.render.raster import Box

UPRIGHT, MIRRORED, TRANSPOSED = 1, 2, 5  # from 5 on, rows are columns

# Orientations whose upright picture starts at the stored one's last column or row (TIFF 6.0, tag 274): the first two
# kinds mirror it, and a picture that lies is transposed after.
_FLIPPED_HORIZONTALLY, _FLIPPED_VERTICALLY = frozenset({2, 3, 6, 7}), frozenset({3, 4, 7, 8})

# The largest copy on disk: an A0 sheet at 600 dpi in colour has 0.8 GB.
MAX_SCRATCH_BYTES = 2 * 1024**3

_SCRATCH_FILE = ".unpacked.tif"
_TILE = 512


def swaps_axes(image: "pyvips.Image") -> bool:
    """Whether width and height change places when the picture is set upright."""
    return _orientation(image) >= TRANSPOSED


def stored_box(image: "pyvips.Image", region: Region) -> Box:
    """Where `window` (left, top, right, bottom of the upright picture in ten-thousandths) is stored, in pixels."""
    orientation = _orientation(image)
    left, top, right, bottom = region
    if orientation in _FLIPPED_HORIZONTALLY:
        left, right = REGION_SCALE - right, REGION_SCALE - left
    if orientation in _FLIPPED_VERTICALLY:
        top, bottom = REGION_SCALE - bottom, REGION_SCALE - top
    if orientation >= TRANSPOSED:
        left, top, right, bottom = top, left, bottom, right
    x, y = left * image.width // REGION_SCALE, top * image.height // REGION_SCALE
    across, down = (
        round((right - left) * image.width / REGION_SCALE),
        round((bottom - top) * image.height / REGION_SCALE),
    )
    return x, y, min(max(1, across), image.width - x), min(max(1, down), image.height - y)


@contextmanager
def upright_image(image: "pyvips.Image", scratch: Path) -> Iterator["pyvips.Image"]:
    """`image`, which can be read once from top to bottom, upright and readable likewise.

    One that is only mirrored costs nothing. Any other starts with rows that the source has last: it is unpacked into
    a tiled file in `scratch` first, one byte a pixel and channel, which is gone after the block. Raises
    `BlueprintError` (`too-large`) where that would be more than 2 GiB.
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
            # Rows of the upright picture run down through tiles: each is read once for all its rows.
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
            f"This picture of {image.width:,} x {image.height:,} pixels is stored turned, and turning it needs "
            f"{needed / 1024**3:.1f} GiB of disk. Save it upright, or ask for it without tiles.",
        )
    image.tiffsave(str(path), tile=True, tile_width=_TILE, tile_height=_TILE, bigtiff=True)
