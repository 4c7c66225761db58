"""PDF pages through pdfium, drawn at the preview's resolution: 4 bytes a requested pixel, whatever the page contains.

A layer (optional content group) consists of the pixels that change when it is switched on: the document is rewritten
with only that layer on, drawn, and compared with the page without layers. This takes twice the file's bytes and draws
the page twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

from tasks.plan import Plan
from tasks.renders import REGION_SCALE, RenderOptions
from workers.render.errors import BlueprintError
from workers.render.manifest import RenderWarning
from workers.render.progress import ProgressReporter
from workers.render.raster import Box, Pixels, Raster
from workers.render.sizes import check_pixels, fit_preview
from workers.render.sources import MAX_ZOOM, Geometry, ScalableImage, SourceLayer
from workers.render.sources.optional_content import (
    DAMAGE_ERRORS,
    OptionalContentGroup,
    read_groups,
    with_visible_groups,
)

PAPER = (255, 255, 255, 255)
TRANSPARENT = (255, 255, 255, 0)
PIXELS_PER_POINT = 96 / 72
POINTS_PER_INCH = 72

BASE = "base"


@dataclass
class PdfSource:
    """A page, drawn again for each raster. `region` is the part shown (left, top, right, bottom as shares)."""

    document: pypdfium2.PdfDocument
    content: bytes
    options: RenderOptions
    size: tuple[int, int]
    region: tuple[float, float, float, float]
    geometry: Geometry
    groups: Sequence[OptionalContentGroup]
    progress: ProgressReporter
    warnings: Sequence[RenderWarning] = field(default_factory=tuple)
    draw_order_matters: bool = False

    @property
    def layers(self) -> Sequence[SourceLayer]:
        """The content outside all layers, then each layer."""
        box = (0, 0, *self.size)
        return [SourceLayer(BASE, box)] + [
            SourceLayer(group.name, box, visible=self._is_visible(group)) for group in self.groups
        ]

    def draw_preview(self) -> Raster:
        """Return the page with its visible layers."""
        return self._preview

    def draw_layer(self, index: int) -> Raster:
        """Draw the page without layers (index 0), or the pixels that a layer adds; the preview if it has none."""
        self.progress.keep_alive()
        if not self.groups:
            return self._preview
        background = self._draw_groups(())
        if index == 0:
            return background
        raster = self._draw_groups((self.groups[index - 1],))
        _subtract(raster, background)
        return raster

    def open_full_size(self, background: str | None, scratch: Path, index: int | None = None) -> ScalableImage:
        """Open the page, or one of its layers, for painting at any scale."""
        del scratch
        paper = TRANSPARENT if background is None else PAPER
        document, without_layers = self.document, None
        if self.groups and index is not None:
            visible = (self.groups[index - 1],) if index else ()
            document = _open_with_groups(self.content, visible)
            without_layers = _open_with_groups(self.content, ()) if index else None

        def paint(size: tuple[int, int], box: Box) -> Pixels:
            raster = _draw_page(document, self.options.page, size, self.region, box, paper)
            if without_layers is not None:
                _subtract(raster, _draw_page(without_layers, self.options.page, size, self.region, box, paper))
            return raster.rgb_pixels

        return ScalableImage((MAX_ZOOM * self.size[0], MAX_ZOOM * self.size[1]), paint)

    @cached_property
    def _preview(self) -> Raster:
        visible = [group for group in self.groups if self._is_visible(group)]
        if self.groups and self.options.layers:
            return self._draw_groups(visible, self._paper)
        return self._draw(self.document, self._paper)

    @property
    def _paper(self) -> tuple[int, int, int, int]:
        return TRANSPARENT if self.options.background == "transparent" else PAPER

    def _is_visible(self, group: OptionalContentGroup) -> bool:
        return group.name in self.options.layer_names if self.options.layers else group.visible

    def _draw_groups(
        self, on: Sequence[OptionalContentGroup], paper: tuple[int, int, int, int] = TRANSPARENT
    ) -> Raster:
        document = _open_with_groups(self.content, on)
        try:
            return self._draw(document, paper)
        finally:
            document.close()

    def _draw(self, document: pypdfium2.PdfDocument, paper: tuple[int, int, int, int]) -> Raster:
        return _draw_page(document, self.options.page, self.size, self.region, (0, 0, *self.size), paper)


def open_source(_plan: Plan, path: Path, options: RenderOptions, progress: ProgressReporter) -> PdfSource:
    """Open page `options.page`.

    Raises `BlueprintError` (`damaged-pdf`, `encrypted-pdf`, `no-such-page`, `no-such-layer`, `too-large`).
    """
    progress.update("open")
    document = _open(path)
    if options.page > len(document):
        raise BlueprintError("no-such-page", f"There is no page {options.page}; this PDF has {len(document)}.")
    content = path.read_bytes()
    groups = read_groups(content)
    _check_layers(groups, options)
    progress.update("draw")
    try:
        width, height = document[options.page - 1].get_size()
        left, top, right, bottom = (part / REGION_SCALE for part in options.region_bounds)
        size = _preview_size(width * (right - left), height * (bottom - top), options)
        columns, rows = (max(1, round(side * PIXELS_PER_POINT)) for side in (width, height))
        source = PdfSource(
            document,
            content if groups else b"",
            options,
            size,
            (left, top, right, bottom),
            Geometry(columns, rows, len(document)),
            groups,
            progress,
        )
        source.draw_preview()
    except pypdfium2.PdfiumError as error:
        raise BlueprintError(
            "damaged-pdf", f"Page {options.page} cannot be drawn ({error}). Print it again."
        ) from error
    return source


def _open(path: Path) -> pypdfium2.PdfDocument:
    try:
        return _init_forms(pypdfium2.PdfDocument(path))
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise BlueprintError("encrypted-pdf", "The PDF is protected by a password. Save it without one.") from error
        raise BlueprintError("damaged-pdf", f"The PDF cannot be opened ({error}). Print it to a new PDF.") from error


def _init_forms(document: pypdfium2.PdfDocument) -> pypdfium2.PdfDocument:
    """Initialise forms and return `document`. pdfium draws form values only if this precedes loading a page."""
    document.init_forms()
    return document


def _open_with_groups(content: bytes, visible: Sequence[OptionalContentGroup]) -> pypdfium2.PdfDocument:
    try:
        return _init_forms(pypdfium2.PdfDocument(with_visible_groups(content, visible)))
    except (pypdfium2.PdfiumError, *DAMAGE_ERRORS) as error:
        raise BlueprintError("damaged-pdf", f"Layers of this PDF cannot be drawn ({error}). Print it again.") from error


def _check_layers(groups: Sequence[OptionalContentGroup], options: RenderOptions) -> None:
    names = {BASE, *(group.name for group in groups)}
    for name in options.layer_names:
        if name not in names:
            choices = ", ".join(sorted(names))
            raise BlueprintError("no-such-layer", f"There is no layer {name!r}. Choose from: {choices}.")


def _subtract(raster: Raster, background: Raster) -> None:
    """Clear the pixels of `raster` that equal those of `background`."""
    raster.pixels[(raster.pixels == background.pixels).all(axis=2)] = 0


def _preview_size(width: float, height: float, options: RenderOptions) -> tuple[int, int]:
    """Return the preview's size in pixels for a region of `width` by `height` points."""
    if not options.dpi:
        return fit_preview(max(width, 1.0), max(height, 1.0), options.width)
    columns, rows = (max(1, round(side / POINTS_PER_INCH * options.dpi)) for side in (width, height))
    check_pixels(columns, rows)
    return columns, rows


def _draw_page(
    document: pypdfium2.PdfDocument,
    number: int,
    size: tuple[int, int],
    region: tuple[float, float, float, float],
    box: Box,
    paper: tuple[int, int, int, int],
) -> Raster:
    """Draw `box` of the page's `region` at `size` pixels. Takes twice the box's pixels, 4 bytes each."""
    x, y, columns, rows = box
    left, top, right, bottom = region
    page_width, page_height = round(size[0] / (right - left)), round(size[1] / (bottom - top))
    try:
        page = document[number - 1]
    except (pypdfium2.PdfiumError, IndexError) as error:  # rewriting the document may drop a damaged page
        raise BlueprintError("damaged-pdf", f"Page {number} cannot be drawn ({error}). Print it again.") from error
    bitmap = pypdfium2.PdfBitmap.new_native(columns, rows, pdfium.FPDFBitmap_BGRA)
    try:
        bitmap.fill_rect(paper, 0, 0, columns, rows)
        offset = -round(left * page_width) - x, -round(top * page_height) - y
        pdfium.FPDF_RenderPageBitmap(bitmap, page, *offset, page_width, page_height, 0, pdfium.FPDF_ANNOT)
        if document.formenv:
            pdfium.FPDF_FFLDraw(document.formenv, bitmap, page, *offset, page_width, page_height, 0, pdfium.FPDF_ANNOT)
        return Raster(np.array(bitmap.to_numpy()), "BGRP" if paper == PAPER else "BGRA")
    finally:
        bitmap.close()
        page.close()
