"""Compute the view to paint from a drawing's extents and the options."""

from tasks.renders import REGION_SCALE, RenderOptions
from workers.render.sizes import check_pixels
from workers.render.vector.display import Extents, View

# In pixels, so that a single straight line still gives an image of some height.
MIN_SIDE = 16

# Drawing units; keeps the scale finite if all points coincide.
MIN_EXTENT = 1e-9

# Share of the longer side, added on all sides: extents are those of points, and lines have width.
MARGIN = 0.01

MM_PER_INCH = 25.4


def shown_extents(extents: Extents, options: RenderOptions) -> Extents:
    """Return the rectangle to show: the drawing with its margin, or the requested region of it."""
    margin = MARGIN * max(extents.right - extents.left, extents.top - extents.bottom)
    left, top = extents.left - margin, extents.top + margin
    width, height = extents.right + margin - left, top - (extents.bottom - margin)
    first_x, first_y, last_x, last_y = options.region_bounds
    return Extents(
        left + width * first_x / REGION_SCALE,
        top - height * last_y / REGION_SCALE,
        left + width * last_x / REGION_SCALE,
        top - height * first_y / REGION_SCALE,
    )


def fit_view(extents: Extents, options: RenderOptions, millimetres_per_unit: float) -> View:
    """Fit the extents to the requested pixels: `width` on the longer side, or `dpi` at 1:`scale` on paper.

    Raises `BlueprintError` (`too-large`).
    """
    width, height = extents.right - extents.left, extents.top - extents.bottom
    if options.dpi:
        scale = millimetres_per_unit / MM_PER_INCH * options.dpi / options.scale
    else:
        scale = options.width / max(width, height, MIN_EXTENT)
    size = max(MIN_SIDE, round(width * scale)), max(MIN_SIDE, round(height * scale))
    check_pixels(*size)
    # Centre the slack left by rounding and by the minimum side.
    left = (extents.left + extents.right - size[0] / scale) / 2
    top = (extents.bottom + extents.top + size[1] / scale) / 2
    return View(left, top, scale, size)
