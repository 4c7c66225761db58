"""Does a drawing's look depend on draw order across layers?"""

from collections.abc import Callable

import numpy as np

from workers.render.vector.painter import paint, paint_by_layer
from workers.render.vector.display import DisplayList, View

# Longer side of the two small paintings that are compared, in pixels.
COMPARED_SIDE = 512

# Pixels that differ visibly (out of 255 in any channel), as a share of those with ink: crossings of thin lines in
# different colours come to less, a filled area over another layer's text to more.
VISIBLE_DIFFERENCE = 48
MAX_DIFFERENT_SHARE = 0.005


def draw_order_matters(display: DisplayList, view: View, on_chunk: Callable[[], object] = lambda: None) -> bool:
    """Whether layers stacked in the order of the list look otherwise than the drawing in its own draw order.

    Painted small both ways and compared: 2 MB, and each mark painted twice more, on a picture of 512 pixels.
    """
    if len(display.layers) < 2:
        return False
    shrink = min(1.0, COMPARED_SIDE / max(view.size))
    size = max(1, round(view.size[0] * shrink)), max(1, round(view.size[1] * shrink))
    small = View(view.left, view.top, view.scale * shrink, size)
    drawn, stacked = (draw(display, small, (0, 0, *size), on_chunk=on_chunk).pixels for draw in (paint, paint_by_layer))
    different = np.abs(drawn.astype(np.int16) - stacked).max(axis=2) > VISIBLE_DIFFERENCE
    inked = (drawn[..., 3] > 0).sum()
    return bool(different.sum() > MAX_DIFFERENT_SHARE * inked)
