"""WebP settings, and the choice between lossless and lossy, for previews, layers and tiles.

ImageMagick encodes previews and layers, since it has composed them; Pillow encodes tiles, since it releases the GIL and
takes less than half the time (`tiles.encode`). Both use libwebp with these settings.
"""

from dataclasses import dataclass

import numpy as np

from workers.render.raster import Pixels


@dataclass(frozen=True)
class WebpSettings:
    """libwebp's settings. In lossless mode, `quality` is the effort to compress and loses nothing."""

    lossless: bool
    method: int
    quality: int


# Previews and layers of line work: lossless is faster and smaller than lossy. Method 1 uses a palette for few
# colours, which method 0 does not: a tenth of the bytes in less time.
LINE_WORK = WebpSettings(lossless=True, method=1, quality=10)

# Tiles of line work. Method 0 is the fastest.
LINE_WORK_TILE = WebpSettings(lossless=True, method=0, quality=75)

# Tiles with few colours (a bilevel scan at full size): a palette saves 40 % of the bytes for half a millisecond.
PALETTE_TILE = WebpSettings(lossless=True, method=1, quality=20)

PHOTOGRAPH = WebpSettings(lossless=False, method=2, quality=80)

# Drawings are mostly flat, so most pixels equal their right neighbour. Photographs have noise: a smaller share does.
MIN_EQUAL_NEIGHBOURS = 0.4


def sample_rows(pixels: Pixels, count: int) -> Pixels:
    """Return about `count` evenly spaced rows of an image (height, width, channels)."""
    return pixels[:: max(1, len(pixels) // count)]


def is_photograph(rows: Pixels) -> bool:
    """Whether few pixels of these rows equal their right neighbour."""
    if rows.shape[1] < 2:
        return False
    different = np.zeros((rows.shape[0], rows.shape[1] - 1), bool)
    for channel in range(rows.shape[2]):
        different |= rows[:, 1:, channel] != rows[:, :-1, channel]
    return 1 - float(different.mean()) < MIN_EQUAL_NEIGHBOURS
