"""Pyramids of images that are read once: one pass over the rows builds the tiles of all levels.

Takes memory for a row of tiles at every level: twice `width x 512 x channels` bytes, and a quarter of that while
shrinking. As soon as a level's row of tiles is full it is cut, halved and passed to the level above.
"""

from collections.abc import Iterable

import numpy as np
from PIL import Image

from workers.render.raster import Pixels
from workers.render.tiles.pyramid import TILE, Pyramid
from workers.render.tiles.writer import TileWriter

# Columns halved at a time: Pillow uses 4 bytes for each pixel with colour, whatever the input has.
BLOCK_COLUMNS = 4096


def build_levels(rows: Iterable[Pixels], pyramid: Pyramid, channels: int, writer: TileWriter) -> None:
    """Cut the image into the tiles of all levels. `rows` yields blocks (n, width, channels) from top to bottom."""
    levels = [_TileRow(pyramid.size(level)[0], channels) for level in range(pyramid.top + 1)]
    builder = _PyramidBuilder(levels, writer)
    for block in rows:
        builder.push(pyramid.top, block)
    for level in range(pyramid.top, -1, -1):
        builder.flush(level)


class _TileRow:
    """The row of tiles that a level is filling."""

    def __init__(self, width: int, channels: int) -> None:
        self.pixels = np.empty((TILE, width, channels), np.uint8)
        self.filled = 0
        self.number = 0


class _PyramidBuilder:
    def __init__(self, levels: list[_TileRow], writer: TileWriter) -> None:
        self._levels = levels
        self._writer = writer

    def push(self, level: int, pixels: Pixels) -> None:
        """Add rows to a level, flushing each row of tiles that becomes full."""
        row = self._levels[level]
        while len(pixels):
            block = pixels[: TILE - row.filled]
            row.pixels[row.filled : row.filled + len(block)] = block
            row.filled += len(block)
            pixels = pixels[len(block) :]
            if row.filled == TILE:
                self.flush(level)

    def flush(self, level: int) -> None:
        """Cut the rows that a level holds into tiles, and push them at half size to the level above."""
        row = self._levels[level]
        if not row.filled:
            return
        pixels = row.pixels[: row.filled]
        for column, left in enumerate(range(0, pixels.shape[1], TILE)):
            if not self._writer.reuse(level, column, row.number):
                self._writer.submit(level, column, row.number, pixels[:, left : left + TILE])
        if level:
            self.push(level - 1, halve(pixels))
        row.number += 1
        row.filled = 0


def halve(pixels: Pixels) -> Pixels:
    """Average each 2 x 2 pixels (fewer at an odd edge). Colours are weighted by alpha."""
    height, width, channels = pixels.shape
    half = np.empty((-(-height // 2), -(-width // 2), channels), np.uint8)
    for left in range(0, width, BLOCK_COLUMNS):
        block = np.ascontiguousarray(pixels[:, left : left + BLOCK_COLUMNS])
        half[:, left // 2 : (left + BLOCK_COLUMNS) // 2] = _halve_block(block)
    return half


def _halve_block(pixels: Pixels) -> Pixels:
    channels = pixels.shape[2]
    if channels == 1:
        return np.asarray(Image.fromarray(pixels[..., 0]).reduce(2))[..., np.newaxis]
    image = Image.fromarray(pixels)
    if channels == 4:
        return np.asarray(image.convert("RGBa").reduce(2).convert("RGBA"))
    return np.asarray(image.reduce(2))
