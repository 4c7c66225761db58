"""SVG through librsvg (in libvips), drawn at the requested resolution, with a layer for each top-level group.

The document is checked first and then passed from memory: without a base URL librsvg cannot follow references. A
region is drawn as a drawing of its own, so memory is 4 bytes for each of its pixels at any resolution.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyvips

from tasks.plan import Plan
from tasks.plan.svg_layers import BASE
from tasks.renders import REGION_SCALE, RenderOptions
from tasks.utils.units import MIB, format_bytes
from workers.render.errors import BlueprintError
from workers.render.manifest import RenderWarning
from workers.render.native import prepare_vips, trim_heap
from workers.render.progress import ProgressReporter
from workers.render.raster import Box, Pixels, Raster, flatten
from workers.render.sizes import fit_preview
from workers.render.sources import MAX_ZOOM, Geometry, ScalableImage, SequentialImage, SourceLayer
from workers.render.sources.raster import describe_error, to_raster
from workers.render.sources.svg_document import SvgDocument

MAX_BYTES = 64 * MIB  # both the text and librsvg's tree are in memory

PIXELS_PER_INCH = 96  # CSS 2.1, 4.3.2

# Bytes of text times zoom. Each row of tiles parses the text again, and there are about six rows for each unit of zoom:
# at this limit, parsing takes a minute. Longer texts get less zoom.
MAX_ZOOMED_BYTES = 6 * MIB


@dataclass
class SvgSource:
    """A checked SVG. Drawing a layer parses the bytes that belong to it.

    `drawing_size` is in pixels at 96 an inch; `region` is the part shown (left, top, right, bottom as shares).
    """

    document: SvgDocument
    options: RenderOptions
    drawing_size: tuple[float, float]
    region: tuple[float, ...]
    size: tuple[int, int]
    geometry: Geometry
    progress: ProgressReporter
    warnings: Sequence[RenderWarning] = ()

    @property
    def draw_order_matters(self) -> bool:
        """Whether a layer blends with the layers below, or the root element has an opacity, filter or mask."""
        return self.document.draw_order_matters

    @property
    def layers(self) -> Sequence[SourceLayer]:
        """Groups, and the elements between them, in drawing order; or the whole drawing as one layer."""
        box = (0, 0, *self.size)
        if not self.document.layers:
            return (SourceLayer(BASE, box),)
        return [
            SourceLayer(layer.name, box, visible=index in self._visible_layers)
            for index, layer in enumerate(self.document.layers)
        ]

    def draw_preview(self) -> Raster:
        """Return the visible layers, drawn in one pass."""
        return self._preview

    def draw_layer(self, index: int) -> Raster:
        """Draw one layer, cropped to its ink. Returns the preview if there are no layers."""
        self.progress.keep_alive()
        return crop_to_ink(self._draw({index})) if self.document.layers else self._preview

    def open_full_size(
        self, background: str | None, scratch: Path, index: int | None = None
    ) -> SequentialImage | ScalableImage:
        """Open everything, or one layer, for painting at any scale; takes 7 bytes a pixel of a row of tiles.

        Stays at the preview's size if the text is long, or has filters, which a row of tiles would cut off at its edge.
        """
        del scratch
        single_layer = index is not None and self.document.layers
        shown = {index or 0} if single_layer else self._visible_layers
        zoom = 1 if self.document.has_filters else min(MAX_ZOOM, MAX_ZOOMED_BYTES // len(self.document.content))
        if zoom <= 1:
            pixels = _flatten(background, self._draw(shown) if single_layer else self._preview)
            return SequentialImage(self.size, pixels.shape[2], lambda: iter((pixels,)))

        @lru_cache(maxsize=1)
        def row(size: tuple[int, int], top: int, height: int) -> Pixels:
            return _flatten(background, self._draw(shown, size, (0, top, size[0], height)))

        def paint(size: tuple[int, int], box: Box) -> Pixels:
            left, top, width, height = box
            return row(size, top, height)[:, left : left + width]

        return ScalableImage((zoom * self.size[0], zoom * self.size[1]), paint)

    @cached_property
    def _preview(self) -> Raster:
        return self._draw(self._visible_layers)

    @cached_property
    def _visible_layers(self) -> frozenset[int]:
        chosen = self.options.layer_names
        return frozenset(
            index
            for index, layer in enumerate(self.document.layers)
            if (layer.name in chosen if chosen else not layer.hidden)
        )

    def _draw(self, shown: Collection[int], size: tuple[int, int] | None = None, box: Box | None = None) -> Raster:
        """Draw a box of the region at `size` pixels; by default all of it, at the preview's size."""
        size = size or self.size
        left, top, width, height = box or (0, 0, *size)
        region = _subregion(
            self.region, left / size[0], top / size[1], (left + width) / size[0], (top + height) / size[1]
        )
        svg = self.document.extract(shown, self.drawing_size, region, (width, height))
        try:
            raster = to_raster(pyvips.Image.svgload_buffer(svg, unlimited=True))
        except pyvips.Error as error:
            raise BlueprintError(
                "damaged-svg",
                f"The SVG cannot be drawn ({describe_error(error)}). Open it in an editor and save it again.",
            ) from error
        finally:
            trim_heap()
        return raster


def open_source(plan: Plan, path: Path, options: RenderOptions, progress: ProgressReporter) -> SvgSource:
    """Check the SVG and draw its preview.

    Raises `BlueprintError` (`too-large`, `damaged-svg`, `external-reference`, `unsupported`, `no-such-layer`,
    `no-such-page`).
    """
    if plan.size > MAX_BYTES:
        raise BlueprintError(
            "too-large", f"An SVG may have at most {format_bytes(MAX_BYTES)}. Split it, or send a PDF."
        )
    if options.page > 1:
        raise BlueprintError("no-such-page", f"There is no page {options.page}; an SVG has one.")
    progress.update("open")
    document = SvgDocument.parse(path.read_bytes())
    _check_layers(document, options)
    progress.update("draw")
    prepare_vips()
    region = tuple(part / REGION_SCALE for part in options.region_bounds)
    drawing_size = document.size or _natural_size(document)
    left, top, right, bottom = region
    width, height = drawing_size[0] * (right - left), drawing_size[1] * (bottom - top)
    longer_side = round(max(width, height) * options.dpi / PIXELS_PER_INCH) if options.dpi else options.width
    size = fit_preview(width, height, max(1, longer_side))
    source = SvgSource(document, options, drawing_size, region, size, Geometry(plan.width, plan.height), progress)
    source.draw_preview()
    return source


def _flatten(background: str | None, raster: Raster) -> Pixels:
    return raster.rgb_pixels if background is None or raster.is_opaque else flatten(raster.rgb_pixels, background)


def _subregion(region: tuple[float, ...], *shares: float) -> tuple[float, ...]:
    """Convert a part of the region (left, top, right, bottom as shares of the region) to shares of the drawing."""
    first, extent = region[:2] * 2, region[2:] * 2
    return tuple(a + (b - a) * share for a, b, share in zip(first, extent, shares, strict=True))


def crop_to_ink(raster: Raster) -> Raster:
    """Return a copy of the part of a preview-sized raster that has ink; the raster itself if it has none."""
    if raster.is_opaque or raster.is_blank:
        return raster
    has_ink = raster.pixels[..., 3] > 0
    columns, rows = np.flatnonzero(has_ink.any(axis=0)), np.flatnonzero(has_ink.any(axis=1))
    left, top, right, bottom = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    return Raster(
        raster.pixels[top:bottom, left:right].copy(), raster.channels, left, top, from_vectors=raster.from_vectors
    )


def _natural_size(document: SvgDocument) -> tuple[float, float]:
    """Return the size in pixels that librsvg computes for a drawing without one: that of its content."""
    try:
        image = pyvips.Image.svgload_buffer(document.content, unlimited=True)
    except pyvips.Error as error:
        raise BlueprintError(
            "damaged-svg", f"The SVG cannot be drawn ({describe_error(error)}). Open it in an editor and save it again."
        ) from error
    return float(image.width), float(image.height)


def _check_layers(document: SvgDocument, options: RenderOptions) -> None:
    names = {layer.name for layer in document.layers} or {BASE}
    for name in options.layer_names:
        if name not in names:
            choices = ", ".join(sorted(names))
            raise BlueprintError("no-such-layer", f"There is no layer {name!r}. Choose from: {choices}.")
