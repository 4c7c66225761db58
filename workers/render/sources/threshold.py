"""Separate a scan's ink from its paper: the difference from the paper's grey becomes opacity (a soft threshold)."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from workers.render.raster import Pixels

# Rec. 601 luma weights of red, green and blue, in 256ths.
_LUMA = np.array([77, 150, 29], np.uint16)

# Grey levels around the paper's own that count as its grain, and the number of standard deviations below ink.
_MAX_GRAIN = 24
_GRAIN_DEVIATIONS = 3.0

# Share of pixels that lie beyond the level of full ink.
_FULL_INK_SHARE = 0.001


@dataclass(frozen=True)
class InkThreshold:
    """Maps grey levels to ink opacity. `shade` is the ink's grey: 0 is black, 255 white, as in a cyanotype blueprint.

    `opacity` has 256 entries, one for each grey level.
    """

    shade: int
    opacity: npt.NDArray[np.uint8]

    @classmethod
    def estimate(cls, pixels: Pixels) -> Self:
        """Estimate paper and ink from an image (height, width, channels). The most frequent grey is the paper."""
        counts = np.bincount(_to_grey(pixels).reshape(-1), minlength=256)
        paper = int(counts.argmax())
        shade = 0 if paper >= 128 else 255
        distance = np.abs(np.arange(256) - paper) * ((np.arange(256) < paper) == (shade == 0))
        near = np.abs(np.arange(256) - paper) <= _MAX_GRAIN
        grain = float(np.sqrt(np.average((np.arange(256)[near] - paper) ** 2, weights=counts[near])))
        weight = np.bincount(distance, weights=counts, minlength=256)
        full = int(np.flatnonzero(weight[::-1].cumsum() >= _FULL_INK_SHARE * weight.sum())[0])
        start = min(_GRAIN_DEVIATIONS * grain, 128.0)
        span = max(255 - full - start, 1.0)
        return cls(shade, (np.clip((distance - start) / span, 0.0, 1.0) * 255).round().astype(np.uint8))

    def apply(self, pixels: Pixels) -> Pixels:
        """Return RGBA pixels of the same height and width: ink of one shade on transparency."""
        ink = np.full((*pixels.shape[:2], 4), self.shade, np.uint8)
        ink[..., 3] = np.take(self.opacity, _to_grey(pixels))
        return ink


def _to_grey(pixels: Pixels) -> Pixels:
    if pixels.shape[2] == 1:
        return pixels[..., 0]
    weighted: npt.NDArray[np.uint16] = (pixels[..., :3].astype(np.uint16) * _LUMA).sum(axis=2, dtype=np.uint16)
    return (weighted >> 8).astype(np.uint8)
