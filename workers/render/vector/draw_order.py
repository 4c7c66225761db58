"""Decide whether a drawing's appearance depends on draw order across layers."""

from collections.abc import Callable

import numpy as np

from workers.render.vector.display import DisplayList, View
from workers.render.vector.painter import paint, paint_by_layer

# Longer side of the two small rasters that are compared, in pixels.
COMPARED_SIDE = 512

# A pixel differs visibly beyond this value (of 255) in any channel. The share is that of the pixels with ink: crossings
# of thin lines in different colours stay below it, a filled area over another layer's text exceeds it.
VISIBLE_DIFFERENCE = 48
MAX_DIFFERENT_SHARE = 0.005


def draw_order_matters(display: DisplayList, view: View, on_chunk: Callable[[], object] = lambda: None) -> bool:
    """Whether layers stacked in table order look different from the drawing in its own draw order.

    Paints both at up to 512 pixels and compares them: 2 MB, and each mark is painted twice.
    """
    if len(display.layers) < 2:
        return False
    scale = min(1.0, COMPARED_SIDE / max(view.size))
    size = max(1, round(view.size[0] * scale)), max(1, round(view.size[1] * scale))
    small = View(view.left, view.top, view.scale * scale, size)
    in_draw_order, by_layer = (
        draw(display, small, (0, 0, *size), on_chunk=on_chunk).pixels for draw in (paint, paint_by_layer)
    )
    different = np.abs(in_draw_order.astype(np.int16) - by_layer).max(axis=2) > VISIBLE_DIFFERENCE
    ink_pixels = (in_draw_order[..., 3] > 0).sum()
    return bool(different.sum() > MAX_DIFFERENT_SHARE * ink_pixels)
