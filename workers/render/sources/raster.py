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
from workers.render.manifest import RenderWarning
from workers.render.native import prepare_vips, trim_heap
from workers.render.progress import ProgressReporter
from workers.render.raster import Pixels, Raster
from workers.render.sizes import fit_preview
from workers.render.sources import Geometry, SequentialImage, SourceLayer
from workers.render.sources.checksums import find_damage
from workers.render.sources.threshold import InkThreshold
from workers.render.sources.orientation import stored_box, swaps_axes, upright_image

# Passed to the loader itself: the thumbnailer drops its own argument of that name. What is lost or cannot be decoded
# ends the render; what the decoder only doubts (a fax line with a bad code, stray bytes in a JPEG) is drawn and told.
FAIL_ON_ERROR, FAIL_ON_WARNING = "fail_on=error", "fail_on=warning"

# libtiff refuses strips of more than 50 MB packed. The plan has counted their bytes, so the cap may go.
UNLIMITED = "unlimited=true"

# Rows handed on at once: enough that calls do not matter. Ten times as many cost 60 MB, as holes between buffers.
ROWS_PER_READ = 16

BASE, LINE_WORK = range(2)
LAYER_NAMES = ("base", "line-work")

MILLIMETRES_PER_INCH = 25.4
DEFAULT_DPI = frozenset({25, 72})  # what libvips takes for the dots an inch of a picture that does not tell them


@dataclass
class RasterSource:
    """A picture: its base and, where asked for, its line work. Nothing is decoded before it is needed."""

    plan: Plan
    path: Path
    options: RenderOptions
    progress: ProgressReporter
    warnings: Sequence[RenderWarning] = ()
    draw_order_matters: bool = False

    @cached_property
    def base(self) -> Raster:
        """The picture, or the part of it asked for, at the preview's size. Decoded twice where there is damage."""
        with self._translate_errors():
            longer = self._preview_side()
            try:
                base, told = self._thumbnail(longer, FAIL_ON_WARNING), ""
            except pyvips.Error as error:
                told = describe_error(error) if error.detail else "its decoder found errors"
                base = self._thumbnail(longer, FAIL_ON_ERROR)
        trim_heap()
        if not told and self.plan.format == "tiff":
            told = find_damage(self.path, self.options.page, self.plan)
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
        return Geometry(*self._source_size, self.plan.pages)

    @property
    def layers(self) -> Sequence[SourceLayer]:
        """The base, and the line work on request."""
        names = LAYER_NAMES if self.options.line_work else LAYER_NAMES[:1]
        return [SourceLayer(name, (0, 0, *self.size)) for name in names]

    def draw_preview(self) -> Raster:
        """The base."""
        return self.base

    def draw_layer(self, index: int) -> Raster:
        """The base, or its line work."""
        return self.base if index == BASE else Raster(self._threshold.apply(self.base.pixels), "RGBA")

    def open_full_size(self, background: str | None, scratch: Path, index: int | None = None) -> SequentialImage:
        """The picture at its full size. See `turned` for what a picture that lies on its side costs."""
        with self._translate_errors():
            image = normalize(self._open(FAIL_ON_ERROR), background)
        lift = self._threshold.apply if index == LINE_WORK else _unchanged
        channels = 4 if index == LINE_WORK else image.bands

        def read() -> Iterator[Pixels]:
            with self._translate_errors(), upright_image(image, scratch) as upright:
                yield from map(lift, _read_rows(upright))

        return SequentialImage(_upright_size(image), channels, read)

    @cached_property
    def _source_size(self) -> tuple[int, int]:
        with self._translate_errors():
            return _upright_size(self._open_page(FAIL_ON_ERROR))

    @cached_property
    def _threshold(self) -> InkThreshold:
        return InkThreshold.estimate(self.base.pixels)

    def _preview_side(self) -> int:
        """Pixels that the preview may have on its longer side; checks that they fit into a worker."""
        image = self._open(FAIL_ON_ERROR)
        longer: int = self._preview_side_at_dpi(image) if self.options.dpi else self.options.width
        fit_preview(image.width, image.height, longer, enlarge=False)
        return longer

    def _preview_side_at_dpi(self, image: "pyvips.Image") -> int:
        own = round(float(max(image.xres, image.yres)) * MILLIMETRES_PER_INCH)
        if own in DEFAULT_DPI:
            raise BlueprintError(
                "no-resolution",
                f"This {self.plan.format.upper()} does not say how large it is on paper, so a resolution cannot be "
                "kept. Ask for a width in pixels.",
            )
        if own < self.options.dpi:
            self._warn(
                "own-resolution", f"The picture has {own} pixels an inch and is not enlarged to {self.options.dpi}."
            )
        return max(1, round(max(_upright_size(image)) * min(1.0, self.options.dpi / own)))

    def _thumbnail(self, longer: int, fail_on: str) -> Raster:
        if self.options.region:
            image = self._open(fail_on).thumbnail_image(longer, height=longer, size="down", export_profile="srgb")
        else:
            image = pyvips.Image.thumbnail_source(
                pyvips.Source.new_from_file(str(self.path)),
                longer,
                height=longer,
                size="down",
                export_profile="srgb",
                option_string=self._loader_options(fail_on),
            )
        image.set_progress(True)
        image.signal_connect("eval", lambda _image, at: self.progress.update("draw", at.percent / 100))
        return to_raster(image)

    def _open(self, fail_on: str) -> "pyvips.Image":
        """The part asked for, as it is stored. Rows above it are decoded and dropped."""
        image = self._open_page(fail_on)
        return image.crop(*stored_box(image, self.options.region_bounds)) if self.options.region else image

    def _open_page(self, fail_on: str) -> "pyvips.Image":
        source = pyvips.Source.new_from_file(str(self.path))
        return pyvips.Image.new_from_source(source, self._loader_options(fail_on), access="sequential")

    def _loader_options(self, fail_on: str) -> str:
        return f"{fail_on},page={self.options.page - 1},{UNLIMITED}" if self.plan.format == "tiff" else fail_on

    def _warn(self, code: str, message: str) -> None:
        self.warnings = (*self.warnings, RenderWarning(code=code, message=message))

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except pyvips.Error as error:
            raise BlueprintError(
                "broken-picture",
                f"The {self.plan.format.upper()} cannot be decoded ({describe_error(error)}). "
                "Open it in an editor and save it again.",
            ) from error


def open_source(plan: Plan, path: Path, options: RenderOptions, progress: ProgressReporter) -> RasterSource:
    """Open page `options.page`, never enlarged.

    Raises `BlueprintError` (`no-such-page`, `no-such-layer`, `no-resolution`, `too-large`, `broken-picture`).
    """
    if options.page > plan.pages:
        raise BlueprintError("no-such-page", f"Page {options.page} was asked for; this picture has {plan.pages}.")
    _check_layers(options)
    progress.update("open")
    prepare_vips()
    return RasterSource(plan, path, options, progress)


def to_raster(image: "pyvips.Image") -> Raster:
    """Evaluate `image` into 8-bit sRGB pixels, with alpha where it has any."""
    image = normalize(image, None)
    if image.bands == 1:
        image = image.colourspace("srgb")
    pixels = np.frombuffer(image.write_to_memory(), np.uint8).reshape(image.height, image.width, image.bands)
    return Raster(pixels, "RGBA" if image.bands == 4 else "RGB")


def normalize(image: "pyvips.Image", background: str | None) -> "pyvips.Image":
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


def describe_error(error: "pyvips.Error") -> str:
    """First line of what libvips has to say."""
    lines = [line.strip() for line in str(error.detail or error.message).splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"


def _check_layers(options: RenderOptions) -> None:
    """The base is all that a picture shows; its line work comes beside it."""
    for name in options.layer_names:
        if name != LAYER_NAMES[BASE]:
            raise BlueprintError(
                "no-such-layer",
                f"There is no layer {name!r}: a picture has its {LAYER_NAMES[BASE]} alone. "
                "Leave `layers` empty; `line_work` lifts the ink off a scan.",
            )


def _upright_size(image: "pyvips.Image") -> tuple[int, int]:
    return (image.height, image.width) if swaps_axes(image) else (image.width, image.height)


def _unchanged(pixels: Pixels) -> Pixels:
    return pixels


def _read_rows(image: "pyvips.Image") -> Iterator[Pixels]:
    """All rows of a picture that is read from top to bottom.

    Through one region: libvips drops what it has read ahead at the end of every other evaluation.
    """
    region = pyvips.Region.new(image)
    for top in range(0, image.height, ROWS_PER_READ):
        height = min(ROWS_PER_READ, image.height - top)
        data = region.fetch(0, top, image.width, height)
        yield np.frombuffer(data, np.uint8).reshape(height, image.width, image.bands)
