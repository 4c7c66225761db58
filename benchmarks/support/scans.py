"""Large scans of drawings, generated: an A0 sheet at 600 dpi, and larger ones that repeat it."""

import math
import random
import subprocess
from pathlib import Path

import cairocffi
import numpy as np
import numpy.typing as npt
import pyvips

A0 = (19_866, 14_043)  # 841 x 594 mm with its margins cut off, at 600 dpi
HUGE = (99_213, 70_157)  # 7 gigapixels: 4.2 x 3 m at 600 dpi
COLOUR = (30_000, 20_000)

ROOMS, SYMBOLS = 60, 400
SPECKS = 300  # dust that despeckling leaves
SEED = 1

# Ink and paper of the coloured sheet.
INK, PAPER = (28, 46, 120), (244, 238, 222)

Bits = npt.NDArray[np.uint8]


def draw_sheet(width: int = A0[0], height: int = A0[1]) -> Bits:
    """Line work, 1 is ink: frame, rooms with hatches, text and dimensions, symbols with centre lines; and specks.

    Takes one byte per pixel and a second or two. The same size gives the same sheet.
    """
    stride = cairocffi.ImageSurface.format_stride_for_width(cairocffi.FORMAT_A1, width)
    packed = np.zeros((height, stride), np.uint8)
    surface = cairocffi.ImageSurface(cairocffi.FORMAT_A1, width, height, packed.reshape(-1).data, stride)
    pen, chance = _Pen(surface), random.Random(SEED)
    pen.box(300, 300, width - 600, height - 600, 24)
    for _ in range(ROOMS):
        _room(pen, chance, width, height)
    for _ in range(SYMBOLS):
        _symbol(pen, chance, width, height)
    surface.finish()
    bits: Bits = np.unpackbits(packed, axis=1, bitorder="little")[:, :width]
    dust = np.random.default_rng(SEED)
    bits[dust.integers(0, height, SPECKS), dust.integers(0, width, SPECKS)] ^= 1
    return bits


def write_bilevel(bits: Bits, path: Path) -> None:
    """Write a G4 TIFF of one strip, like scanners. Raises pyvips.Error."""
    _grey(bits).tiffsave(str(path), compression="ccittfax4", bitdepth=1, tile_height=len(bits))


def write_huge(bits: Bits, path: Path) -> None:
    """Write the sheet repeated to 7 gigapixels, as G4 of one strip. Takes about a minute; needs libtiff's tiffcp."""
    width, height = HUGE
    many = path.with_suffix(".strips.tif")
    across, down = -(-width // bits.shape[1]), -(-height // bits.shape[0])
    picture = _grey(bits).replicate(across, down).crop(0, 0, width, height)
    picture.tiffsave(str(many), compression="ccittfax4", bitdepth=1)
    subprocess.run(["tiffcp", "-m", "0", "-c", "g4", "-r", str(height), many, path], check=True)
    many.unlink()


def write_colour(bits: Bits, tiff: Path, png: Path) -> None:
    """Write the sheet in colour, 30,000 x 20,000 RGB: an uncompressed TIFF and a PNG."""
    width, height = COLOUR
    across, down = -(-width // bits.shape[1]), -(-height // bits.shape[0])
    grey = _grey(bits).replicate(across, down).crop(0, 0, width, height)
    tinted = (grey > 0).ifthenelse(PAPER, INK).cast("uchar").copy(interpretation="srgb")
    tinted.tiffsave(str(tiff))
    tinted.pngsave(str(png), compression=1)


def _grey(bits: Bits) -> "pyvips.Image":
    paper = (1 - bits) * np.uint8(255)
    height, width = bits.shape
    return pyvips.Image.new_from_memory(paper.data, width, height, 1, "uchar").copy(interpretation="b-w")


class _Pen:
    """Draws in pixels."""

    def __init__(self, surface: cairocffi.ImageSurface) -> None:
        self.context = cairocffi.Context(surface)
        self.context.set_antialias(cairocffi.ANTIALIAS_NONE)
        self.context.set_source_rgba(0, 0, 0, 1)
        self.context.select_font_face("DejaVu Sans")

    def line(self, x: float, y: float, to_x: float, to_y: float, weight: int) -> None:
        self.context.set_line_width(weight)
        self.context.move_to(x, y)
        self.context.line_to(to_x, to_y)
        self.context.stroke()

    def box(self, x: int, y: int, width: int, height: int, weight: int) -> None:
        self.context.set_line_width(weight)
        self.context.rectangle(x, y, width, height)
        self.context.stroke()

    def circle(self, x: int, y: int, radius: int, weight: int) -> None:
        self.context.set_line_width(weight)
        self.context.new_sub_path()
        self.context.arc(x, y, radius, 0, 2 * math.pi)
        self.context.stroke()

    def text(self, x: int, y: int, size: int, words: str) -> None:
        self.context.set_font_size(size)
        self.context.move_to(x, y)
        self.context.show_text(words)


def _room(pen: _Pen, chance: random.Random, sheet_width: int, sheet_height: int) -> None:
    x, y = chance.randrange(600, sheet_width - 4000), chance.randrange(600, sheet_height - 3000)
    width, height = chance.randrange(600, 3500), chance.randrange(400, 2400)
    pen.box(x, y, width, height, chance.choice((6, 10, 16)))
    if chance.random() < 0.25:
        for along in range(0, width + height, 60):
            pen.line(
                x + max(0, along - height), y + min(along, height), x + min(along, width), y + max(0, along - width), 3
            )
    size = chance.choice((60, 80, 120))
    for row in range(6):
        pipe = (
            f"P-{chance.randrange(9999):04d} DN{chance.choice((80, 100, 150))} PN16 +{chance.randrange(30_000) / 1e3}"
        )
        pen.text(x + 40, y + 150 * row + 100, size, pipe)
    pen.line(x, y - 80, x + width, y - 80, 4)
    for tick in range(0, width, 200):
        pen.line(x + tick, y - 120, x + tick, y - 40, 4)


def _symbol(pen: _Pen, chance: random.Random, sheet_width: int, sheet_height: int) -> None:
    x, y = chance.randrange(500, sheet_width - 500), chance.randrange(500, sheet_height - 500)
    radius = chance.randrange(30, 400)
    pen.circle(x, y, radius, chance.choice((4, 6, 8)))
    pen.line(x - 1.3 * radius, y, x + 1.3 * radius, y, 3)
    pen.line(x, y - 1.3 * radius, x, y + 1.3 * radius, 3)
