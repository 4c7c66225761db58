"""Encodes pictures as WebP or PNG with Wand and describes the files."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wand.image import Image

from workers.render.manifest import OutputFile
from workers.render.raster import Raster
from workers.render.webp import LINE_WORK, PHOTOGRAPH, is_photograph, sample_rows

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
    return Encoding("webp", lossy=requested == "webp-lossy" or (requested == "webp" and _is_photograph(raster)))


def encode(picture: Image, stem: Path, encoding: Encoding) -> OutputFile:
    """Write `picture` to `stem` with the suffix of its encoding.

    Allocates libwebp's copy (4 bytes a pixel) and up to 12 bytes more while it encodes; a PNG is written row by row.
    """
    picture.format = encoding.suffix
    if encoding.suffix == "png":
        picture.options["png:exclude-chunks"] = "all"  # dates would make each file different
    else:
        settings = PHOTOGRAPH if encoding.lossy else LINE_WORK
        picture.options["webp:lossless"] = "true" if settings.lossless else "false"
        picture.options["webp:method"] = str(settings.method)
        picture.compression_quality = settings.quality
    blob = picture.make_blob()
    path = stem.with_suffix(f".{encoding.suffix}")
    path.write_bytes(blob)
    return output_file(path, blob)


def output_file(path: Path, blob: bytes) -> OutputFile:
    """Describe a file for the manifest."""
    return OutputFile(file=path.name, bytes=len(blob), sha256=hashlib.sha256(blob).hexdigest())


def _is_photograph(raster: Raster) -> bool:
    return not raster.from_vectors and is_photograph(sample_rows(raster.pixels, SAMPLED_ROWS))
