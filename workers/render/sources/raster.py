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
from workers.render.errors import BlueprintError
from workers.render.manifest import Warning  # noqa: A004 - the manifest's own word
from workers.render.native import give_back, prepare_vips
from workers.render.progress import Progress
from workers.render.raster import Piece, Pixels
from workers.render.sizes import fit
from workers.render.sources import Geometry, SourceLayer, Strips
from workers.render.sources.checksums import flaw
from workers.render.sources.ink import Ink
from workers.render.sources.orientation import lies, stored, turned

# Passed to the loader itself: the thumbnailer drops its own argument of that name. What is lost or cannot be decoded
# ends the render; what the decoder only doubts (a fax line with a bad code, stray bytes in a JPEG) is drawn and told.
FAIL_ON_DAMAGE, FAIL_ON_DOUBT = "fail_on=error", "fail_on=warning"

# libtiff refuses strips of more than 50 MB packed. The plan has counted their bytes, so the cap may go.
NO_CAP = "unlimited=true"

# Rows handed on at once: enough that calls do not matter. Ten times as many cost 60 MB, as holes between buffers.
ROWS = 16

BASE, LINE_WORK = range(2)
NAMES = ("base", "line-work")

MILLIMETRES_PER_INCH = 25.4
UNSTATED = frozenset({25, 72})  # what libvips takes for the dots an inch of a picture that does not tell them


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
        """The picture, or the part of it asked for, at the preview's size. Decoded twice where there is damage."""
        with self._decoding():
            longer = self._longer()
            try:
                base, told = self._shrunk(longer, FAIL_ON_DOUBT), ""
            except pyvips.Error as error:
                told = reason(error) if error.detail else "its decoder found errors"
                base = self._shrunk(longer, FAIL_ON_DAMAGE)
        give_back()
        if not told and self.plan.format == "tiff":
            told = flaw(self.path, self.options.page, self.plan)
        if told:
            self._warn(
                "damaged",
                f"The {self.plan.format.upper()} is damaged ({told}) and may look otherwise than it should. "
                "Compare it with the original.",
            )
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
        names = NAMES if self.options.line_work else NAMES[:1]
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
            image = normal(self._open(FAIL_ON_DAMAGE), background)
        lift = self._ink.lift if index == LINE_WORK else _as_it_is
        channels = 4 if index == LINE_WORK else image.bands

        def read() -> Iterator[Pixels]:
            with self._decoding(), turned(image, scratch) as upright:
                yield from map(lift, _rows(upright))

        return Strips(_upright(image), channels, read)

    @cached_property
    def _size(self) -> tuple[int, int]:
        with self._decoding():
            return _upright(self._whole(FAIL_ON_DAMAGE))

    @cached_property
    def _ink(self) -> Ink:
        return Ink.of(self.base.pixels)

    def _longer(self) -> int:
        """Pixels that the preview may have on its longer side; checks that they fit into a worker."""
        image = self._open(FAIL_ON_DAMAGE)
        longer: int = self._by_resolution(image) if self.options.dpi else self.options.width
        fit(image.width, image.height, longer, enlarge=False)
        return longer

    def _by_resolution(self, image: "pyvips.Image") -> int:
        own = round(float(max(image.xres, image.yres)) * MILLIMETRES_PER_INCH)
        if own in UNSTATED:
            raise BlueprintError(
                "no-resolution",
                f"This {self.plan.format.upper()} does not say how large it is on paper, so a resolution cannot be "
                "kept. Ask for a width in pixels.",
            )
        if own < self.options.dpi:
            self._warn(
                "own-resolution", f"The picture has {own} pixels an inch and is not enlarged to {self.options.dpi}."
            )
        return max(1, round(max(_upright(image)) * min(1.0, self.options.dpi / own)))

    def _shrunk(self, longer: int, fail_on: str) -> Piece:
        if self.options.region:
            image = self._open(fail_on).thumbnail_image(longer, height=longer, size="down", export_profile="srgb")
        else:
            image = pyvips.Image.thumbnail_source(
                pyvips.Source.new_from_file(str(self.path)),
                longer,
                height=longer,
                size="down",
                export_profile="srgb",
                option_string=self._loader(fail_on),
            )
        image.set_progress(True)
        image.signal_connect("eval", lambda _image, at: self.progress.at("draw", at.percent / 100))
        return piece(image)

    def _open(self, fail_on: str) -> "pyvips.Image":
        """The part asked for, as it is stored. Rows above it are decoded and dropped."""
        image = self._whole(fail_on)
        return image.crop(*stored(image, self.options.window)) if self.options.region else image

    def _whole(self, fail_on: str) -> "pyvips.Image":
        source = pyvips.Source.new_from_file(str(self.path))
        return pyvips.Image.new_from_source(source, self._loader(fail_on), access="sequential")

    def _loader(self, fail_on: str) -> str:
        return f"{fail_on},page={self.options.page - 1},{NO_CAP}" if self.plan.format == "tiff" else fail_on

    def _warn(self, code: str, message: str) -> None:
        self.warnings = (*self.warnings, Warning(code=code, message=message))

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
    """Open page `options.page`, never enlarged.

    Raises `BlueprintError` (`no-such-page`, `no-such-layer`, `no-resolution`, `too-large`, `broken-picture`).
    """
    if options.page > plan.pages:
        raise BlueprintError("no-such-page", f"Page {options.page} was asked for; this picture has {plan.pages}.")
    _check_layers(options)
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


def _check_layers(options: RenderOptions) -> None:
    """The base is all that a picture shows; its line work comes beside it."""
    for name in options.layer_names:
        if name != NAMES[BASE]:
            raise BlueprintError(
                "no-such-layer",
                f"There is no layer {name!r}: a picture has its {NAMES[BASE]} alone. "
                "Leave `layers` empty; `line_work` lifts the ink off a scan.",
            )


def _upright(image: "pyvips.Image") -> tuple[int, int]:
    return (image.height, image.width) if lies(image) else (image.width, image.height)


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
