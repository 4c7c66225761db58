"""Rasters: decoded pixels with their position on the preview."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.uint8]
Box: TypeAlias = tuple[int, int, int, int]

BAND_PIXELS = 1 << 18  # one megabyte, which fits the CPU cache


@dataclass(frozen=True)
class Raster:
    """`pixels` is (height, width, len(channels)) uint8 with straight alpha, its top left corner at `x`, `y`.

    `channels` is their order in memory; P is padding. Rasters drawn `from_vectors` are never photographs.
    """

    pixels: Pixels
    channels: Literal["RGB", "RGBA", "BGRA", "BGRP"]
    x: int = 0
    y: int = 0
    from_vectors: bool = False

    @property
    def box(self) -> Box:
        """x, y, width, height in preview pixels."""
        height, width = self.pixels.shape[:2]
        return self.x, self.y, width, height

    @property
    def is_opaque(self) -> bool:
        """Whether the raster has no alpha channel."""
        return "A" not in self.channels

    @property
    def rgb_pixels(self) -> Pixels:
        """The pixels as RGB or RGBA."""
        if self.channels in {"RGB", "RGBA"}:
            return self.pixels
        return self.pixels[..., [2, 1, 0, 3] if "A" in self.channels else [2, 1, 0]]

    @property
    def is_blank(self) -> bool:
        """Whether all pixels are fully transparent."""
        return not self.is_opaque and not self.pixels[..., 3].any()


def flatten(pixels: Pixels, background: str) -> Pixels:
    """Blend RGBA pixels onto a colour (#rrggbb). Returns RGB: allocates 3 bytes a pixel and works row by row."""
    backdrop = np.array([int(background[index : index + 2], 16) for index in (1, 3, 5)], np.uint16)
    flattened = np.empty((*pixels.shape[:2], 3), np.uint8)
    for row, target in zip(pixels, flattened, strict=True):
        alpha = row[:, 3:].astype(np.uint16)
        target[:] = (row[:, :3] * alpha + backdrop * (255 - alpha) + 127) // 255
    return flattened


def unpremultiply(pixels: Pixels) -> None:
    """Convert premultiplied alpha to straight alpha, in place.

    `pixels` is contiguous (height, width, 4) with alpha last. Works in bands and changes translucent pixels only, which
    are a few per cent of line work.
    """
    flat = pixels.reshape(-1, 4)
    for start in range(0, len(flat), BAND_PIXELS):
        _unpremultiply(flat[start : start + BAND_PIXELS])


def _unpremultiply(flat: Pixels) -> None:
    # Alpha is the highest byte on little-endian machines, so a shifted range (1..254 -> 0..253) needs one comparison.
    partial = np.flatnonzero(flat.view("<u4")[:, 0] - np.uint32(1 << 24) < np.uint32(254 << 24))
    values = flat[partial]
    alpha = values[:, 3:].astype(np.uint16)
    values[:, :3] = np.minimum((values[:, :3].astype(np.uint16) * 255 + alpha // 2) // alpha, 255)
    flat[partial] = values
