"""PDF pages through pdfium, drawn at the preview's own resolution: 4 bytes a pixel asked for, whatever the page holds.

Where a page has optional content, each of its layers is what switching it on changes: the document is rewritten with
that one on, drawn, and compared with the page that has none. That costs the file's bytes twice and two drawings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

from tasks.plan import Plan
from tasks.renders import PERMYRIAD, RenderOptions
from workers.render.errors import BlueprintError
from workers.render.manifest import Warning  # noqa: A004 - the manifest's own word
from workers.render.progress import Progress
from workers.render.raster import Box, Piece, Pixels
from workers.render.sizes import check_pixels, fit
from workers.render.sources import DEEP, Canvas, Geometry, SourceLayer
from workers.render.sources.optional_content import DAMAGED, OptionalContent, groups_of, switched

PAPER = (255, 255, 255, 255)
NOTHING = (255, 255, 255, 0)
PIXELS_PER_POINT = 96 / 72
POINTS_PER_INCH = 72

BASE = "base"


@dataclass
class PdfSource:
    """A page, drawn anew for each picture. `window` is the part shown, in shares: left, top, right, bottom."""

    document: pypdfium2.PdfDocument
    content: bytes
    options: RenderOptions
    size: tuple[int, int]
    window: tuple[float, float, float, float]
    geometry: Geometry
    groups: Sequence[OptionalContent]
    progress: Progress
    warnings: Sequence[Warning] = field(default_factory=tuple)
    draw_order_matters: bool = False

    @property
    def layers(self) -> Sequence[SourceLayer]:
        """The page itself, or what lies on no layer and each layer."""
        whole = (0, 0, *self.size)
        return [SourceLayer(BASE, whole)] + [
            SourceLayer(group.name, whole, visible=self._shown(group)) for group in self.groups
        ]

    def preview(self) -> Piece:
        """The page with its visible layers."""
        return self._page

    def layer(self, index: int) -> Piece:
        """The page without layers, or what a layer adds to it. Without any layers, the preview."""
        self.progress.beat()
        if not self.groups:
            return self._page
        without = self._switched(())
        if index == 0:
            return without
        drawn = self._switched((self.groups[index - 1],))
        _subtract(drawn, without)
        return drawn

    def deep(self, background: str | None, scratch: Path, index: int | None = None) -> Canvas:
        """The page, or one of its layers, at any scale."""
        del scratch
        paper = NOTHING if background is None else PAPER
        document, without = self.document, None
        if self.groups and index is not None:
            on = (self.groups[index - 1],) if index else ()
            document = _with_layers(self.content, on)
            without = _with_layers(self.content, ()) if index else None

        def paint(size: tuple[int, int], box: Box) -> Pixels:
            drawn = _draw(document, self.options.page, size, self.window, box, paper)
            if without is not None:
                _subtract(drawn, _draw(without, self.options.page, size, self.window, box, paper))
            return drawn.plain

        return Canvas((DEEP * self.size[0], DEEP * self.size[1]), paint)

    @cached_property
    def _page(self) -> Piece:
        chosen = [group for group in self.groups if self._shown(group)]
        if self.groups and self.options.layers:
            return self._switched(chosen, self._paper)
        return self._draw(self.document, self._paper)

    @property
    def _paper(self) -> tuple[int, int, int, int]:
        return NOTHING if self.options.background == "transparent" else PAPER

    def _shown(self, group: OptionalContent) -> bool:
        return group.name in self.options.layer_names if self.options.layers else group.visible

    def _switched(self, on: Sequence[OptionalContent], paper: tuple[int, int, int, int] = NOTHING) -> Piece:
        document = _with_layers(self.content, on)
        try:
            return self._draw(document, paper)
        finally:
            document.close()

    def _draw(self, document: pypdfium2.PdfDocument, paper: tuple[int, int, int, int]) -> Piece:
        return _draw(document, self.options.page, self.size, self.window, (0, 0, *self.size), paper)


def open_source(_plan: Plan, path: Path, options: RenderOptions, progress: Progress) -> PdfSource:
    """Open page `options.page`.

    Raises `BlueprintError` (`broken-pdf`, `locked-pdf`, `no-such-page`, `no-such-layer`, `too-large`).
    """
    progress.at("open")
    document = _open(path)
    if options.page > len(document):
        raise BlueprintError("no-such-page", f"Page {options.page} was asked for; this PDF has {len(document)}.")
    content = path.read_bytes()
    groups = groups_of(content)
    _check_layers(groups, options)
    progress.at("draw")
    try:
        width, height = document[options.page - 1].get_size()
        left, top, right, bottom = (part / PERMYRIAD for part in options.window)
        size = _size(width * (right - left), height * (bottom - top), options)
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
        source.preview()
    except pypdfium2.PdfiumError as error:
        raise BlueprintError("broken-pdf", f"Page {options.page} cannot be drawn ({error}). Print it again.") from error
    return source


def _open(path: Path) -> pypdfium2.PdfDocument:
    try:
        return _ready(pypdfium2.PdfDocument(path))
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise BlueprintError("locked-pdf", "The PDF asks for a password. Save it without one.") from error
        raise BlueprintError("broken-pdf", f"The PDF cannot be opened ({error}). Print it to a new PDF.") from error


def _ready(document: pypdfium2.PdfDocument) -> pypdfium2.PdfDocument:
    """`document` before any of its pages is loaded: what its forms are filled in with can be drawn only then."""
    document.init_forms()
    return document


def _with_layers(content: bytes, on: Sequence[OptionalContent]) -> pypdfium2.PdfDocument:
    try:
        return _ready(pypdfium2.PdfDocument(switched(content, on)))
    except (pypdfium2.PdfiumError, *DAMAGED) as error:
        raise BlueprintError("broken-pdf", f"Layers of this PDF cannot be drawn ({error}). Print it again.") from error


def _check_layers(groups: Sequence[OptionalContent], options: RenderOptions) -> None:
    known = {BASE, *(group.name for group in groups)}
    for name in options.layer_names:
        if name not in known:
            listed = ", ".join(sorted(known))
            raise BlueprintError("no-such-layer", f"There is no layer {name!r}. Ask for some of: {listed}.")


def _subtract(drawn: Piece, without: Piece) -> None:
    """Clear in `drawn` what is the same in both."""
    drawn.pixels[(drawn.pixels == without.pixels).all(axis=2)] = 0


def _size(width: float, height: float, options: RenderOptions) -> tuple[int, int]:
    """Pixels of what is shown, `width` by `height` in points."""
    if not options.dpi:
        return fit(max(width, 1.0), max(height, 1.0), options.width)
    columns, rows = (max(1, round(side / POINTS_PER_INCH * options.dpi)) for side in (width, height))
    check_pixels(columns, rows)
    return columns, rows


def _draw(
    document: pypdfium2.PdfDocument,
    number: int,
    size: tuple[int, int],
    window: tuple[float, float, float, float],
    box: Box,
    paper: tuple[int, int, int, int],
) -> Piece:
    """Draw `box` of the page's `window` at `size` pixels. Costs the box's pixels, 4 bytes each, twice."""
    x, y, columns, rows = box
    left, top, right, bottom = window
    across, down = round(size[0] / (right - left)), round(size[1] / (bottom - top))
    try:
        page = document[number - 1]
    except (pypdfium2.PdfiumError, IndexError) as error:  # one that was mended while its layers were switched
        raise BlueprintError("broken-pdf", f"Page {number} cannot be drawn ({error}). Print it again.") from error
    bitmap = pypdfium2.PdfBitmap.new_native(columns, rows, pdfium.FPDFBitmap_BGRA)
    try:
        bitmap.fill_rect(paper, 0, 0, columns, rows)
        start = -round(left * across) - x, -round(top * down) - y
        pdfium.FPDF_RenderPageBitmap(bitmap, page, *start, across, down, 0, pdfium.FPDF_ANNOT)
        if document.formenv:
            pdfium.FPDF_FFLDraw(document.formenv, bitmap, page, *start, across, down, 0, pdfium.FPDF_ANNOT)
        return Piece(np.array(bitmap.to_numpy()), "BGRP" if paper == PAPER else "BGRA")
    finally:
        bitmap.close()
        page.close()
