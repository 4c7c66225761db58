"""Encodes pictures as WebP or PNG with Wand and describes the files."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from wand.image import Image

from workers.render.manifest import OutputFile
from workers.render.raster import Raster

# Lossless for line work: both faster and smaller than lossy. Method 1 finds the few colours of a layer, which
# method 0 does not: a tenth of the bytes in less time.
LOSSLESS_METHOD = "1"
LOSSLESS_QUALITY = 10

LOSSY_METHOD = "2"
LOSSY_QUALITY = 80

# In drawings most pixels equal their right neighbour. In photographs noise makes them differ.
PHOTOGRAPHIC_MAX_EQUAL = 0.4
SAMPLED_ROWS = 256


@dataclass(frozen=True)
class Encoding:
    """The encoding of a picture: the suffix of its file, and whether it is lossy."""

    suffix: Literal["webp", "png"]
    lossy: bool


def choose_encoding(requested: str, raster: Raster) -> Encoding:
    """The encoding of `raster` for the option `format`: `webp` is lossy for photographs only."""
    if requested == "png":
        return Encoding("png", lossy=False)
    return Encoding("webp", lossy=requested == "webp-lossy" or (requested == "webp" and is_photographic(raster)))


def encode(picture: Image, stem: Path, encoding: Encoding) -> OutputFile:
    """Write `picture` to `stem` with the suffix of its encoding.

    Allocates libwebp's copy (4 bytes a pixel) and up to 12 bytes more while it encodes; a PNG is written row by row.
    """
    picture.format = encoding.suffix
    if encoding.suffix == "png":
        picture.options["png:exclude-chunks"] = "all"  # dates would make each file different
    else:
        picture.options["webp:lossless"] = "false" if encoding.lossy else "true"
        picture.options["webp:method"] = LOSSY_METHOD if encoding.lossy else LOSSLESS_METHOD
        picture.compression_quality = LOSSY_QUALITY if encoding.lossy else LOSSLESS_QUALITY
    blob = picture.make_blob()
    path = stem.with_suffix(f".{encoding.suffix}")
    path.write_bytes(blob)
    return output_file(path, blob)


def output_file(path: Path, blob: bytes) -> OutputFile:
    """Describe a file for the manifest."""
    return OutputFile(file=path.name, bytes=len(blob), sha256=hashlib.sha256(blob).hexdigest())


def is_photographic(raster: Raster) -> bool:
    """Whether lossy encoding suits the raster better: few pixels equal their right neighbour. Samples 256 rows."""
    if raster.from_vectors:
        return False
    rows = raster.pixels[:: max(1, raster.pixels.shape[0] // SAMPLED_ROWS)]
    if rows.shape[1] < 2:
        return False
    different = np.zeros((rows.shape[0], rows.shape[1] - 1), bool)
    for channel in range(rows.shape[2]):
        different |= rows[:, 1:, channel] != rows[:, :-1, channel]
    return 1 - float(different.mean()) < PHOTOGRAPHIC_MAX_EQUAL
