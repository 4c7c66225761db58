"""PDF pages through pdfium, drawn at the preview's own resolution: 4 bytes a preview pixel, whatever the page holds."""

from pathlib import Path

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

from tasks.plan import Plan
from tasks.renders import RenderOptions
from workers.blueprint.errors import BlueprintError
from workers.blueprint.piece import Piece
from workers.blueprint.progress import Progress
from workers.blueprint.sizes import fit
from workers.blueprint.sources import Geometry
from workers.blueprint.sources.flat import FlatSource

PAPER = (255, 255, 255, 255)
NOTHING = (255, 255, 255, 0)
PIXELS_PER_POINT = 96 / 72


def open_source(_plan: Plan, path: Path, options: RenderOptions, progress: Progress) -> FlatSource:
    """Draw page `options.page`. Raises `BlueprintError` (`broken-pdf`, `locked-pdf`, `no-such-page`)."""
    progress.at("open")
    document = _open(path)
    try:
        if options.page > len(document):
            raise BlueprintError("no-such-page", f"Page {options.page} was asked for; this PDF has {len(document)}.")
        page = document[options.page - 1]
        progress.at("draw")
        width, height = page.get_size()
        base = _draw(page, options, width, height)
        geometry = Geometry(
            max(1, round(width * PIXELS_PER_POINT)), max(1, round(height * PIXELS_PER_POINT)), len(document)
        )
    except pypdfium2.PdfiumError as error:
        raise BlueprintError("broken-pdf", f"Page {options.page} cannot be drawn ({error}). Print it again.") from error
    finally:
        document.close()
    return FlatSource(base, geometry)


def _open(path: Path) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise BlueprintError("locked-pdf", "The PDF asks for a password. Save it without one.") from error
        raise BlueprintError("broken-pdf", f"The PDF cannot be opened ({error}). Print it to a new PDF.") from error


def _draw(page: pypdfium2.PdfPage, options: RenderOptions, width: float, height: float) -> Piece:
    columns, rows = fit(max(width, 1.0), max(height, 1.0), options.width)
    transparent = options.background == "transparent"
    bitmap = pypdfium2.PdfBitmap.new_native(columns, rows, pdfium.FPDFBitmap_BGRA)
    try:
        bitmap.fill_rect(NOTHING if transparent else PAPER, 0, 0, columns, rows)
        pdfium.FPDF_RenderPageBitmap(bitmap, page, 0, 0, columns, rows, 0, pdfium.FPDF_ANNOT)
        return Piece(np.array(bitmap.to_numpy()), "BGRA" if transparent else "BGRP")
    finally:
        bitmap.close()
