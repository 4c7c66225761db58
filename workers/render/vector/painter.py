"""Paint a display list with cairo. Memory is 4 bytes a pixel of the box and does not grow with the drawing."""

from collections.abc import Callable, Collection

import cairocffi
import numpy as np

from workers.render.raster import Box, Raster, unpremultiply
from workers.render.vector.display import Chunk, DisplayList, Style, View
from workers.render.vector.paths import ROW_BYTES, Rows, cairo_rows


def paint(
    display: DisplayList,
    view: View,
    box: Box,
    layers: Collection[int] | None = None,
    *,
    on_chunk: Callable[[], object] = lambda: None,
) -> Raster:
    """Draw all marks, or those of some layers, inside `box` of `view` on transparency, in draw order.

    Takes 4 bytes a pixel of the box, and some 40 MB for a chunk of the list while it is painted. Calls `on_chunk` after
    every chunk.
    """
    with _Surface(box) as surface:
        for chunk in display.chunks(view, box, layers):
            surface.paint(chunk, display.to_pixels(chunk.points, view), display.styles)
            on_chunk()
    return surface.to_raster()


def paint_by_layer(
    display: DisplayList, view: View, box: Box, *, on_chunk: Callable[[], object] = lambda: None
) -> Raster:
    """Draw one layer after the other, as a viewer that stacks the layers' images. Takes the same memory as `paint`."""
    with _Surface(box) as surface:
        for layer in sorted(display.layers):
            for chunk in display.chunks(view, box, (layer,)):
                surface.paint(chunk, display.to_pixels(chunk.points, view), display.styles)
                on_chunk()
    return surface.to_raster()


class _Surface:
    """Pixels that cairo paints on."""

    def __init__(self, box: Box) -> None:
        self.x, self.y, width, height = box
        self.pixels = np.zeros((height, width, 4), np.uint8)
        memory = self.pixels.reshape(-1).data
        self._surface = cairocffi.ImageSurface(cairocffi.FORMAT_ARGB32, width, height, memory, 4 * width)
        self._context = cairocffi.Context(self._surface)
        self._context.translate(-self.x, -self.y)
        # The same as in ezdxf's own backends.
        self._context.set_line_cap(cairocffi.LINE_CAP_ROUND)
        self._context.set_line_join(cairocffi.LINE_JOIN_ROUND)
        self._context.set_fill_rule(cairocffi.FILL_RULE_EVEN_ODD)
        self._style: Style | None = None

    def __enter__(self) -> "_Surface":
        return self

    def __exit__(self, *_error: object) -> None:
        self._surface.finish()

    def paint(self, chunk: Chunk, points: Rows, styles: list[Style]) -> None:
        context = self._context
        rows, after = cairo_rows(chunk.commands, points)
        base = cairocffi.ffi.cast("char *", rows.ctypes.data)
        path = cairocffi.ffi.new("cairo_path_t *")
        append, pointer = cairocffi.cairo.cairo_append_path, context._pointer
        start = 0
        for end, number in zip(after[chunk.ends - 1].tolist(), chunk.styles.tolist(), strict=True):
            style = styles[number]
            if style is not self._style:
                self._style = style
                context.set_source_rgba(*style[:4])
                if style.width:
                    context.set_line_width(style.width)
            path.data = cairocffi.ffi.cast("cairo_path_data_t *", base + ROW_BYTES * start)
            path.num_data = end - start
            append(pointer, path)
            if style.width:
                context.stroke()
            else:
                context.fill()
            start = end

    def to_raster(self) -> Raster:
        unpremultiply(self.pixels)
        return Raster(self.pixels, "BGRA", self.x, self.y, from_vectors=True)
