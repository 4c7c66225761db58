"""Pyramids of drawings: every level is painted at its own resolution, so lines stay sharp.

Takes memory for a strip of 4,096 x 512 pixels, 4 bytes each, and as much again while it is cut into tiles.
"""

from collections.abc import Callable
from typing import TypeAlias

from workers.render.raster import Box, Pixels
from workers.render.tiles.pyramid import TILE, Pyramid
from workers.render.tiles.writer import TileWriter

# Tiles painted at once: each painting iterates over the marks that touch it.
STRIP_TILES = 8

# Paints a box of a level: (level's width and height, box in its pixels) -> (height, width, channels).
Paint: TypeAlias = Callable[[tuple[int, int], Box], Pixels]


def paint_levels(paint: Paint, pyramid: Pyramid, writer: TileWriter) -> None:
    """Paint every tile that is not on disk yet, strip by strip, starting with the smallest level."""
    for level in range(pyramid.top + 1):
        columns, rows = pyramid.grid(level)
        for row in range(rows):
            for strip_start in range(0, columns, STRIP_TILES):
                missing = [
                    column
                    for column in range(strip_start, min(strip_start + STRIP_TILES, columns))
                    if not writer.reuse(level, column, row)
                ]
                if missing:
                    _paint_strip(paint, pyramid, writer, (level, row), missing)


def _paint_strip(
    paint: Paint, pyramid: Pyramid, writer: TileWriter, position: tuple[int, int], columns: list[int]
) -> None:
    level, row = position
    width, height = pyramid.size(level)
    left, top = columns[0] * TILE, row * TILE
    right, bottom = min((columns[-1] + 1) * TILE, width), min(top + TILE, height)
    pixels = paint((width, height), (left, top, right - left, bottom - top))
    for column in columns:
        start = column * TILE - left
        writer.submit(level, column, row, pixels[:, start : start + TILE])
