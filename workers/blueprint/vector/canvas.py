"""Paint a display list with cairo: 4 bytes a pixel of the box asked for, and nothing that grows with the drawing."""

from collections.abc import Iterable

import cairocffi
import numpy as np

from workers.blueprint.piece import Box, Piece, straighten
from workers.blueprint.vector.display import DisplayList, Mark
from workers.blueprint.vector.paths import ROW_BYTES


def paint(display: DisplayList, box: Box, layer: int | None = None) -> Piece:
    """Draw all marks, or those of one layer, inside `box` on transparency."""
    x, y, width, height = box
    pixels = np.zeros((height, width, 4), np.uint8)
    surface = cairocffi.ImageSurface(cairocffi.FORMAT_ARGB32, width, height, pixels.reshape(-1).data, 4 * width)
    context = cairocffi.Context(surface)
    context.translate(-x, -y)
    # As SVG drawings of CAD have it: ezdxf's own backends draw the same.
    context.set_line_cap(cairocffi.LINE_CAP_ROUND)
    context.set_line_join(cairocffi.LINE_JOIN_ROUND)
    context.set_fill_rule(cairocffi.FILL_RULE_EVEN_ODD)
    _paint(context, display, display.marks(layer))
    surface.finish()
    straighten(pixels)
    return Piece(pixels, "BGRA", x, y)


def _paint(context: cairocffi.Context, display: DisplayList, marks: Iterable[Mark]) -> None:
    rows = display.rows()
    base = cairocffi.ffi.cast("char *", rows.ctypes.data)
    path = cairocffi.ffi.new("cairo_path_t *")
    append, pointer = cairocffi.cairo.cairo_append_path, context._pointer
    style = None
    for mark in marks:
        if mark.style != style:
            style = mark.style
            context.set_source_rgba(*style[:4])
            if style.width:
                context.set_line_width(style.width)
        path.data = cairocffi.ffi.cast("cairo_path_data_t *", base + ROW_BYTES * mark.start)
        path.num_data = mark.end - mark.start
        append(pointer, path)
        if style.width:
            context.stroke()
        else:
            context.fill()
