"""Encode pictures as WebP or PNG with Wand, and name what was written."""

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
    """How a picture is written: its file's suffix, and whether that may cost detail."""

    suffix: Literal["webp", "png"]
    lossy: bool


def choose_encoding(requested: str, raster: Raster) -> Encoding:
    """What the option `format` means for a piece: `webp` is lossy for photographs alone."""
    if requested == "png":
        return Encoding("png", lossy=False)
    return Encoding("webp", lossy=requested == "webp-lossy" or (requested == "webp" and _is_photograph(raster)))


def encode(picture: Image, stem: Path, encoding: Encoding) -> OutputFile:
    """Write `picture` to `stem` with its form's suffix.

    Costs libwebp's copy (4 bytes a pixel) and up to 12 more while it works; a PNG is written row by row.
    """
    picture.format = encoding.suffix
    if encoding.suffix == "png":
        picture.options["png:exclude-chunks"] = "all"  # dates would make every file another one
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
    """What the manifest says of a file."""
    return OutputFile(file=path.name, bytes=len(blob), sha256=hashlib.sha256(blob).hexdigest())


def _is_photograph(raster: Raster) -> bool:
    return not raster.from_vectors and is_photograph(sample_rows(raster.pixels, SAMPLED_ROWS))
