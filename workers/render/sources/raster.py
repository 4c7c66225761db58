"""PNG, JPEG, TIFF and WebP through libvips: shrunk while reading for the preview, streamed in rows for tiles.

Takes memory for a band of the source, plus the preview (3 or 4 bytes a pixel) or a block of rows.
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
from workers.render.sources.orientation import stored_box, swaps_axes, upright_image
from workers.render.sources.threshold import InkThreshold

# Passed to the loader as an option string, since thumbnail_source ignores its own argument of that name. Errors
# (missing or undecodable data) end the render; warnings (a bad code in a fax line, stray bytes in a JPEG) are reported.
FAIL_ON_ERROR, FAIL_ON_WARNING = "fail_on=error", "fail_on=warning"

# libtiff refuses strips of more than 50 MB of compressed data by default. The plan has counted these bytes already.
UNLIMITED = "unlimited=true"

# Enough rows that the call overhead does not matter. Ten times as many take 60 MB more, lost to fragmentation.
ROWS_PER_READ = 16

BASE, LINE_WORK = range(2)
LAYER_NAMES = ("base", "line-work")

MILLIMETRES_PER_INCH = 25.4
DEFAULT_DPI = frozenset({25, 72})  # libvips' defaults for images without a resolution


@dataclass
class RasterSource:
    """A raster image: its base and, on request, its line work. Decodes on demand."""

    plan: Plan
    path: Path
    options: RenderOptions
    progress: ProgressReporter
    warnings: Sequence[RenderWarning] = ()
    draw_order_matters: bool = False

    @cached_property
    def base(self) -> Raster:
        """The image, or the requested region of it, at the preview's size. A damaged image is decoded twice."""
        with self._translate_errors():
            longer = self._preview_side()
            try:
                base, damage = self._thumbnail(longer, FAIL_ON_WARNING), ""
            except pyvips.Error as error:
                damage = describe_error(error) if error.detail else "its decoder found errors"
                base = self._thumbnail(longer, FAIL_ON_ERROR)
        trim_heap()
        if not damage and self.plan.format == "tiff":
            damage = find_damage(self.path, self.options.page, self.plan)
        if damage:
            self._warn(
                "damaged",
                f"The {self.plan.format.upper()} is damaged ({damage}), so the render may be wrong. "
                "Compare it with the original.",
            )
        return base

    @cached_property
    def size(self) -> tuple[int, int]:
        """The preview's width and height in pixels."""
        return self.base.box[2:]

    @property
    def geometry(self) -> Geometry:
        """The size of the upright source."""
        return Geometry(*self._source_size, self.plan.pages)

    @property
    def layers(self) -> Sequence[SourceLayer]:
        """The base and, on request, the line work."""
        names = LAYER_NAMES if self.options.line_work else LAYER_NAMES[:1]
        return [SourceLayer(name, (0, 0, *self.size)) for name in names]

    def draw_preview(self) -> Raster:
        """Return the base."""
        return self.base

    def draw_layer(self, index: int) -> Raster:
        """Return the base, or its line work."""
        return self.base if index == BASE else Raster(self._threshold.apply(self.base.pixels), "RGBA")

    def open_full_size(self, background: str | None, scratch: Path, index: int | None = None) -> SequentialImage:
        """Open the image at its full size. `upright_image` documents the cost of an image that is stored rotated."""
        with self._translate_errors():
            image = normalize(self._open(FAIL_ON_ERROR), background)
        convert = self._threshold.apply if index == LINE_WORK else _unchanged
        channels = 4 if index == LINE_WORK else image.bands

        def read_rows() -> Iterator[Pixels]:
            with self._translate_errors(), upright_image(image, scratch) as upright:
                yield from map(convert, _read_rows(upright))

        return SequentialImage(_upright_size(image), channels, read_rows)

    @cached_property
    def _source_size(self) -> tuple[int, int]:
        with self._translate_errors():
            return _upright_size(self._open_page(FAIL_ON_ERROR))

    @cached_property
    def _threshold(self) -> InkThreshold:
        return InkThreshold.estimate(self.base.pixels)

    def _preview_side(self) -> int:
        """Return the preview's longer side in pixels, after checking that the preview fits into memory."""
        image = self._open(FAIL_ON_ERROR)
        longer: int = self._preview_side_at_dpi(image) if self.options.dpi else self.options.width
        fit_preview(image.width, image.height, longer, enlarge=False)
        return longer

    def _preview_side_at_dpi(self, image: "pyvips.Image") -> int:
        source_dpi = round(float(max(image.xres, image.yres)) * MILLIMETRES_PER_INCH)
        if source_dpi in DEFAULT_DPI:
            raise BlueprintError(
                "unknown-resolution",
                f"This {self.plan.format.upper()} does not state its resolution, so `dpi` cannot be applied. "
                "Set `width` in pixels instead.",
            )
        if source_dpi < self.options.dpi:
            self._warn(
                "not-enlarged",
                f"The image has {source_dpi} pixels per inch and was not enlarged to {self.options.dpi}.",
            )
        return max(1, round(max(_upright_size(image)) * min(1.0, self.options.dpi / source_dpi)))

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
        self.progress.update("draw")  # a small picture is done before the first signal
        image.set_progress(True)
        image.signal_connect("eval", lambda _image, at: self.progress.update("draw", at.percent / 100))
        return to_raster(image)

    def _open(self, fail_on: str) -> "pyvips.Image":
        """Open the requested region, in stored orientation. The rows above it are decoded and discarded."""
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
                "damaged-image",
                f"The {self.plan.format.upper()} cannot be decoded ({describe_error(error)}). "
                "Open it in an editor and save it again.",
            ) from error


def open_source(plan: Plan, path: Path, options: RenderOptions, progress: ProgressReporter) -> RasterSource:
    """Open page `options.page`. The preview is never larger than the source.

    Raises `BlueprintError` (`no-such-page`, `no-such-layer`, `unknown-resolution`, `too-large`, `damaged-image`).
    """
    if options.page > plan.pages:
        raise BlueprintError(
            "no-such-page", f"There is no page {options.page}; this {plan.format.upper()} has {plan.pages}."
        )
    _check_layers(options)
    progress.update("open")
    prepare_vips()
    return RasterSource(plan, path, options, progress)


def to_raster(image: "pyvips.Image") -> Raster:
    """Evaluate `image` into 8-bit sRGB pixels, with alpha if it has an alpha channel."""
    image = normalize(image, None)
    if image.bands == 1:
        image = image.colourspace("srgb")
    pixels = np.frombuffer(image.write_to_memory(), np.uint8).reshape(image.height, image.width, image.bands)
    return Raster(pixels, "RGBA" if image.bands == 4 else "RGB")


def normalize(image: "pyvips.Image", background: str | None) -> "pyvips.Image":
    """Convert to 8-bit grey, sRGB or sRGB with alpha; a `background` (#rrggbb) removes alpha."""
    if image.get_typeof("icc-profile-data"):
        with suppress(pyvips.Error):  # invalid profile: treat the values as sRGB
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
    """Return the first line of libvips' error message."""
    lines = [line.strip() for line in str(error.detail or error.message).splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"


def _check_layers(options: RenderOptions) -> None:
    """Raise `no-such-layer` for any layer but the base. Line work has an option of its own."""
    for name in options.layer_names:
        if name != LAYER_NAMES[BASE]:
            raise BlueprintError(
                "no-such-layer",
                f"There is no layer {name!r}: the only layer of a raster image is {LAYER_NAMES[BASE]!r}. "
                "Leave `layers` empty; set `line_work` to get a scan's ink as a layer.",
            )


def _upright_size(image: "pyvips.Image") -> tuple[int, int]:
    return (image.height, image.width) if swaps_axes(image) else (image.width, image.height)


def _unchanged(pixels: Pixels) -> Pixels:
    return pixels


def _read_rows(image: "pyvips.Image") -> Iterator[Pixels]:
    """Yield all rows of a sequential image.

    Uses one region, since libvips discards its read-ahead at the end of any other evaluation.
    """
    region = pyvips.Region.new(image)
    for top in range(0, image.height, ROWS_PER_READ):
        height = min(ROWS_PER_READ, image.height - top)
        data = region.fetch(0, top, image.width, height)
        yield np.frombuffer(data, np.uint8).reshape(height, image.width, image.bands)
