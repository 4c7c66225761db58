"""Encode pictures as WebP or PNG with Wand, and name what was written."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from wand.image import Image

from workers.render.manifest import OutputFile
from workers.render.raster import Piece

# Lossless for line work: both faster and smaller than lossy. Method 1 finds the few colours of a layer, which
# method 0 does not: a tenth of the bytes in less time.
LOSSLESS_METHOD = "1"
LOSSLESS_QUALITY = 10

LOSSY_METHOD = "2"
LOSSY_QUALITY = 80

# A drawing is mostly flat: neighbours of a pixel are equal to it. Photographs have noise.
PHOTOGRAPHIC_BELOW = 0.4
SAMPLED_ROWS = 256


@dataclass(frozen=True)
class Form:
    """How a picture is written: its file's suffix, and whether that may cost detail."""

    suffix: Literal["webp", "png"]
    lossy: bool


def choose_form(wanted: str, piece: Piece) -> Form:
    """What the option `format` means for a piece: `webp` is lossy for photographs alone."""
    if wanted == "png":
        return Form("png", lossy=False)
    return Form("webp", lossy=wanted == "webp-lossy" or (wanted == "webp" and photographic(piece)))


def encode(picture: Image, stem: Path, form: Form) -> OutputFile:
    """Write `picture` to `stem` with its form's suffix.

    Costs libwebp's copy (4 bytes a pixel) and up to 12 more while it works; a PNG is written row by row.
    """
    picture.format = form.suffix
    if form.suffix == "png":
        picture.options["png:exclude-chunks"] = "all"  # dates would make every file another one
    else:
        picture.options["webp:lossless"] = "false" if form.lossy else "true"
        picture.options["webp:method"] = LOSSY_METHOD if form.lossy else LOSSLESS_METHOD
        picture.compression_quality = LOSSY_QUALITY if form.lossy else LOSSLESS_QUALITY
    blob = picture.make_blob()
    path = stem.with_suffix(f".{form.suffix}")
    path.write_bytes(blob)
    return describe(path, blob)


def describe(path: Path, blob: bytes) -> OutputFile:
    """What the manifest says of a file."""
    return OutputFile(file=path.name, bytes=len(blob), sha256=hashlib.sha256(blob).hexdigest())


def photographic(piece: Piece) -> bool:
    """Whether lossy suits the piece better: few pixels are equal to their right neighbour. Looks at 256 rows."""
    if piece.drawn:
        return False
    rows = piece.pixels[:: max(1, piece.pixels.shape[0] // SAMPLED_ROWS)]
    if rows.shape[1] < 2:
        return False
    different = np.zeros((rows.shape[0], rows.shape[1] - 1), bool)
    for channel in range(rows.shape[2]):
        different |= rows[:, 1:, channel] != rows[:, :-1, channel]
    return 1 - float(different.mean()) < PHOTOGRAPHIC_BELOW
