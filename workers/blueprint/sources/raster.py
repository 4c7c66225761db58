"""PNG, JPEG, TIFF and WebP through libvips, shrunk while they are read.

Memory is a band of the source and the preview itself (3 or 4 bytes a pixel); time is that of decoding the source.
"""

from pathlib import Path

import numpy as np
import pyvips

from tasks.plan import Plan
from tasks.renders import RenderOptions
from workers.blueprint.errors import BlueprintError
from workers.blueprint.native import prepare_vips
from workers.blueprint.piece import Piece
from workers.blueprint.progress import Progress
from workers.blueprint.sizes import fit
from workers.blueprint.sources import Geometry
from workers.blueprint.sources.flat import FlatSource

# Passed to the loader itself: the thumbnailer drops its own argument of that name.
FAIL_ON_DAMAGE = "fail_on=error"


def open_source(plan: Plan, path: Path, options: RenderOptions, progress: Progress) -> FlatSource:
    """Decode page `options.page`, never enlarged. Raises `BlueprintError` (`no-such-page`, `broken-picture`)."""
    if options.page > plan.pages:
        raise BlueprintError("no-such-page", f"Page {options.page} was asked for; this picture has {plan.pages}.")
    fit(plan.width or 1, plan.height or 1, options.width, enlarge=False)
    progress.at("open")
    prepare_vips()
    options_of_loader = FAIL_ON_DAMAGE + (f",page={options.page - 1}" if plan.format == "tiff" else "")
    try:
        source = pyvips.Source.new_from_file(str(path))
        image = pyvips.Image.thumbnail_source(
            source, options.width, height=options.width, size="down", option_string=options_of_loader
        )
        progress.at("draw")
        base = piece(image)
    except pyvips.Error as error:
        raise BlueprintError(
            "broken-picture",
            f"The {plan.format.upper()} cannot be decoded ({reason(error)}). Open it in an editor and save it again.",
        ) from error
    return FlatSource(base, Geometry(plan.width, plan.height, plan.pages))


def piece(image: "pyvips.Image") -> Piece:
    """Evaluate `image` into 8-bit sRGB pixels, with alpha where it has any."""
    if image.interpretation not in {"srgb", "b-w"} or image.format != "uchar":
        image = image.colourspace("srgb").cast("uchar")
    if image.interpretation == "b-w":
        image = image.colourspace("srgb")
    bands = 4 if image.hasalpha() else 3
    pixels = np.frombuffer(image[0:bands].write_to_memory(), np.uint8).reshape(image.height, image.width, bands)
    return Piece(pixels, "RGBA" if bands == 4 else "RGB")


def reason(error: "pyvips.Error") -> str:
    """First line of what libvips has to say."""
    lines = [line.strip() for line in str(error.detail or error.message).splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"
