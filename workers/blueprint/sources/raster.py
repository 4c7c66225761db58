"""PNG, JPEG, TIFF and WebP through libvips: shrunk while they are read for the preview, in strips for tiles.

Memory is a band of the source, and the preview itself (3 or 4 bytes a pixel) or a strip; time is that of decoding.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyvips

from tasks.plan import Plan
from tasks.renders import RenderOptions
from workers.blueprint.errors import BlueprintError
from workers.blueprint.manifest import Warning  # noqa: A004 - the manifest's own word
from workers.blueprint.native import give_back, prepare_vips
from workers.blueprint.piece import Piece, Pixels
from workers.blueprint.progress import Progress
from workers.blueprint.sizes import fit
from workers.blueprint.sources import Geometry, SourceLayer, Strips
from workers.blueprint.sources.ink import Ink
from workers.blueprint.sources.turned import lies, turned

# Passed to the loader itself: the thumbnailer drops its own argument of that name.
FAIL_ON_DAMAGE = "fail_on=error"

# libtiff refuses strips of more than 50 MB packed. The plan has counted their bytes, so the cap may go.
NO_CAP = "unlimited=true"

# Rows handed on at once: enough that calls do not matter. Ten times as many cost 60 MB, as holes between buffers.
ROWS = 16

BASE, LINE_WORK = range(2)


@dataclass
class RasterSource:
    """A picture: its base and, where asked for, its line work. Nothing is decoded before it is needed."""

    plan: Plan
    path: Path
    options: RenderOptions
    progress: Progress
    warnings: Sequence[Warning] = ()
    draw_order_matters: bool = False

    @cached_property
    def base(self) -> Piece:
        """The picture at the preview's size."""
        with self._decoding():
            image = pyvips.Image.thumbnail_source(
                pyvips.Source.new_from_file(str(self.path)),
                self.options.width,
                height=self.options.width,
                size="down",
                export_profile="srgb",
                option_string=",".join(self._loader()),
            )
            image.set_progress(True)
            image.signal_connect("eval", lambda _image, at: self.progress.at("draw", at.percent / 100))
            base = piece(image)
        give_back()
        return base

    @cached_property
    def size(self) -> tuple[int, int]:
        """The preview's width and height in pixels."""
        return self.base.box[2:]

    @property
    def geometry(self) -> Geometry:
        """The source's own size, upright."""
        return Geometry(*self._size, self.plan.pages)

    @property
    def layers(self) -> Sequence[SourceLayer]:
        """The base, and the line work on request."""
        names = ("base", "line-work") if self.options.line_work else ("base",)
        return [SourceLayer(name, (0, 0, *self.size)) for name in names]

    def preview(self) -> Piece:
        """The base."""
        return self.base

    def layer(self, index: int) -> Piece:
        """The base, or its line work."""
        return self.base if index == BASE else Piece(self._ink.lift(self.base.pixels), "RGBA")

    def deep(self, background: str | None, scratch: Path, index: int | None = None) -> Strips:
        """The picture at its full size. See `turned` for what a picture that lies on its side costs."""
        with self._decoding():
            image = normal(self._open(), background)
        lift = self._ink.lift if index == LINE_WORK else _as_it_is
        channels = 4 if index == LINE_WORK else image.bands

        def read() -> Iterator[Pixels]:
            with self._decoding(), turned(image, scratch) as upright:
                yield from map(lift, _rows(upright))

        return Strips(self._size, channels, read)

    @cached_property
    def _size(self) -> tuple[int, int]:
        image = self._open()
        return (image.height, image.width) if lies(image) else (image.width, image.height)

    @cached_property
    def _ink(self) -> Ink:
        return Ink.of(self.base.pixels)

    def _open(self) -> "pyvips.Image":
        source = pyvips.Source.new_from_file(str(self.path))
        return pyvips.Image.new_from_source(source, ",".join(self._loader()), access="sequential")

    def _loader(self) -> list[str]:
        return [FAIL_ON_DAMAGE] + ([f"page={self.options.page - 1}", NO_CAP] if self.plan.format == "tiff" else [])

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        try:
            yield
        except pyvips.Error as error:
            raise BlueprintError(
                "broken-picture",
                f"The {self.plan.format.upper()} cannot be decoded ({reason(error)}). "
                "Open it in an editor and save it again.",
            ) from error


def open_source(plan: Plan, path: Path, options: RenderOptions, progress: Progress) -> RasterSource:
    """Open page `options.page`, never enlarged. Raises `BlueprintError` (`no-such-page`, `broken-picture`)."""
    if options.page > plan.pages:
        raise BlueprintError("no-such-page", f"Page {options.page} was asked for; this picture has {plan.pages}.")
    fit(plan.width or 1, plan.height or 1, options.width, enlarge=False)
    progress.at("open")
    prepare_vips()
    return RasterSource(plan, path, options, progress)


def piece(image: "pyvips.Image") -> Piece:
    """Evaluate `image` into 8-bit sRGB pixels, with alpha where it has any."""
    image = normal(image, None)
    if image.bands == 1:
        image = image.colourspace("srgb")
    pixels = np.frombuffer(image.write_to_memory(), np.uint8).reshape(image.height, image.width, image.bands)
    return Piece(pixels, "RGBA" if image.bands == 4 else "RGB")


def normal(image: "pyvips.Image", background: str | None) -> "pyvips.Image":
    """8-bit grey, sRGB, or sRGB with alpha unless there is a `background` (#rrggbb) to lay it on."""
    if image.get_typeof("icc-profile-data"):
        with suppress(pyvips.Error):  # a profile that is none: the numbers are taken for sRGB
            image = image.icc_transform("srgb", embedded=True)
    grey = image.bands == 1 and image.interpretation in {"b-w", "grey16"}
    space = "b-w" if grey else "srgb"
    if image.interpretation != space:
        image = image.colourspace(space)
    if image.format != "uchar":
        image = image.cast("uchar")
    if background is not None and image.hasalpha():
        image = image.flatten(background=[int(background[at : at + 2], 16) for at in (1, 3, 5)])
    return image[0 : min(image.bands, 4)]


def reason(error: "pyvips.Error") -> str:
    """First line of what libvips has to say."""
    lines = [line.strip() for line in str(error.detail or error.message).splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"


def _as_it_is(pixels: Pixels) -> Pixels:
    return pixels


def _rows(image: "pyvips.Image") -> Iterator[Pixels]:
    """All rows of a picture that is read from top to bottom.

    Through one region: libvips drops what it has read ahead at the end of every other evaluation.
    """
    region = pyvips.Region.new(image)
    for top in range(0, image.height, ROWS):
        height = min(ROWS, image.height - top)
        data = region.fetch(0, top, image.width, height)
        yield np.frombuffer(data, np.uint8).reshape(height, image.width, image.bands)
