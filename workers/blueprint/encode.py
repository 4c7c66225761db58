"""Encode pictures as WebP with Wand, and name what was written."""

import hashlib
from pathlib import Path

import numpy as np
from wand.image import Image

from workers.blueprint.manifest import OutputFile
from workers.blueprint.piece import Piece

# Lossless for line work: both faster and smaller than lossy. Method 1 finds the few colours of a layer, which
# method 0 does not: a tenth of the bytes in less time.
LOSSLESS_METHOD = "1"
LOSSLESS_QUALITY = 10

LOSSY_METHOD = "2"
LOSSY_QUALITY = 80

# A drawing is mostly flat: neighbours of a pixel are equal to it. Photographs have noise.
PHOTOGRAPHIC_BELOW = 0.4
SAMPLED_ROWS = 256


def encode(picture: Image, path: Path, *, lossy: bool) -> OutputFile:
    """Write `picture` to `path` as WebP. Costs libwebp's copy (4 bytes a pixel) and up to 12 more while it works."""
    picture.format = "webp"
    picture.options["webp:lossless"] = "false" if lossy else "true"
    picture.options["webp:method"] = LOSSY_METHOD if lossy else LOSSLESS_METHOD
    picture.compression_quality = LOSSY_QUALITY if lossy else LOSSLESS_QUALITY
    blob = picture.make_blob()
    path.write_bytes(blob)
    return describe(path, blob)


def describe(path: Path, blob: bytes) -> OutputFile:
    """What the manifest says of a file."""
    return OutputFile(file=path.name, bytes=len(blob), sha256=hashlib.sha256(blob).hexdigest())


def photographic(piece: Piece) -> bool:
    """Whether lossy suits the piece better: few pixels are equal to their right neighbour. Looks at 256 rows."""
    rows = piece.pixels[:: max(1, piece.pixels.shape[0] // SAMPLED_ROWS)]
    if rows.shape[1] < 2:
        return False
    different = np.zeros((rows.shape[0], rows.shape[1] - 1), bool)
    for channel in range(rows.shape[2]):
        different |= rows[:, 1:, channel] != rows[:, :-1, channel]
    return 1 - float(different.mean()) < PHOTOGRAPHIC_BELOW
