"""An independent rendering: ezdxf's own frontend and SVG backend in one pass, rasterised by librsvg.

It shares only ezdxf's file reader with the engine: no display list, cairo, block cache, streaming or separate layers.
It shows the same rectangle at the same size and with the same thinnest line, on transparency. To isolate a layer, all
other layers are turned off in the document. The document is first adapted in two respects that ezdxf's frontend lacks:
parts of a dimension on layer 0 move to the dimension's layer, as in every CAD program; and fonts are replaced by their
substitutes.
"""

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ezdxf.addons.drawing.config import BackgroundPolicy, Configuration, ImagePolicy
from ezdxf.addons.drawing.frontend import Frontend
from ezdxf.addons.drawing.layout import Page, Settings
from ezdxf.addons.drawing.properties import RenderContext
from ezdxf.addons.drawing.svg import SVGBackend
from ezdxf.document import Drawing
from ezdxf.entities.dimension import Dimension
from ezdxf.entities.mtext import MText
from ezdxf.filemanagement import readfile
from ezdxf.fonts import fonts
from ezdxf.math import BoundingBox2d

from workers.render.vector.backend import MIN_LINE_PIXELS

Mask = npt.NDArray[np.bool_]

# Minimum coverage of ink, of 255. A line of 0.7 pixels between two pixels covers 90 in each.
INK = 64

PIXELS_PER_INCH = 96
PAGE_PIXELS_PER_MM = 10  # the backend rounds pages to tenths of a millimetre
SVG_UNITS = 100_000_000  # the backend rounds each step to integers, and dashed lines have thousands of steps


def reference_ink(
    path: Path, layout: str, extents: tuple[float, float, float, float], size: tuple[int, int], layer: str | None = None
) -> Mask:
    """Return the ink of the drawing, or of one layer. `extents` (left, bottom, right, top) fill `size` pixels."""
    document = readfile(path)
    _move_parts_to_dimension_layers(document)
    _substitute_fonts(document)
    if layer is not None:
        for other in document.layers:
            if other.dxf.name != layer:
                other.off()
    width, height = size
    backend = SVGBackend()
    config = Configuration(
        background_policy=BackgroundPolicy.OFF,
        image_policy=ImagePolicy.MISSING,
        min_lineweight=MIN_LINE_PIXELS / PIXELS_PER_INCH * 300,  # given in 1/300 inch
        lineweight_scaling=PIXELS_PER_INCH / 25.4 / PAGE_PIXELS_PER_MM,
    )
    space = document.paperspace(layout) if layout else document.modelspace()
    Frontend(RenderContext(document), backend, config).draw_layout(space)
    left, bottom, right, top = extents
    svg = backend.get_string(
        Page(width / PAGE_PIXELS_PER_MM, height / PAGE_PIXELS_PER_MM),
        settings=Settings(fit_page=True, output_coordinate_space=SVG_UNITS),
        render_box=BoundingBox2d([(left, bottom), (right, top)]),
    )
    return _rasterise(svg, width, height)


def close_to(ink: Mask) -> Mask:
    """Return `ink` extended by one pixel on all sides."""
    height, width = ink.shape
    framed = np.pad(ink, 1)
    near: Mask = np.logical_or.reduce([framed[y : y + height, x : x + width] for y in range(3) for x in range(3)])
    return near


def agreement(ours: Mask, reference: Mask) -> tuple[float, float]:
    """Return recall and precision of our ink at a tolerance of one pixel; 1 if there is no ink."""
    recall = (reference & close_to(ours)).sum() / reference.sum() if reference.any() else 1.0
    precision = (ours & close_to(reference)).sum() / ours.sum() if ours.any() else 1.0
    return float(recall), float(precision)


def _rasterise(svg: str, width: int, height: int) -> Mask:
    import pyvips

    # In pixels: the size of a millimetre depends on the version of librsvg.
    sized = re.sub(r'width="[^"]*mm" height="[^"]*mm"', f'width="{width}" height="{height}"', svg, count=1)
    image = pyvips.Image.new_from_buffer(sized.encode(), "unlimited=true")
    assert (image.width, image.height) == (width, height)
    alpha: npt.NDArray[np.uint8] = np.asarray(image[3].numpy(), np.uint8)
    ink: Mask = np.greater_equal(alpha, INK)
    return ink


def _move_parts_to_dimension_layers(document: Drawing) -> None:
    for layout in document.layouts:
        for dimension in layout.query("DIMENSION"):
            block = dimension.get_geometry_block() if isinstance(dimension, Dimension) else None
            for part in block or ():
                if part.dxf.layer == "0":
                    part.dxf.layer = dimension.dxf.layer


def _substitute_fonts(document: Drawing) -> None:
    for style in document.styles:
        if style.dxf.font.lower() == "arial.ttf":
            style.dxf.font = "LiberationSans-Regular.ttf"
    fallback = fonts.find_font_face(fonts.font_manager.fallback_font_name()).family
    for block in document.blocks:
        for text in block:
            if isinstance(text, MText):
                text.text = re.sub(r"\\F[^|;]*", rf"\\f{fallback}", text.text)  # a stroke font
