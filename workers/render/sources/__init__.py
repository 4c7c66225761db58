"""Source formats, one module for each family, behind the protocol `Source`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

from tasks.plan import Plan
from tasks.renders import RenderOptions
from workers.render.manifest import RenderWarning
from workers.render.progress import ProgressReporter
from workers.render.raster import Box, Pixels, Raster

# Deep Zoom tiles show a drawing at up to this multiple of its preview's width: 2,048 pixels become 16,384.
MAX_ZOOM = 8


@dataclass(frozen=True)
class SourceLayer:
    """A layer of an opened source. `box` is the part of the preview that it covers, in pixels; None if it is empty."""

    name: str
    box: Box | None
    colour: str | None = None
    visible: bool = True
    plottable: bool = True


@dataclass(frozen=True)
class Geometry:
    """The source's intrinsic size: in pixels, or as extents (left, bottom, right, top) in drawing units."""

    width: int | None = None
    height: int | None = None
    pages: int = 1
    extents: tuple[float, float, float, float] | None = None
    units: str | None = None
    layouts: tuple[str, ...] = ()


@dataclass(frozen=True)
class SequentialImage:
    """An image at its full size that is read once, from top to bottom. `size` is its width and height in pixels.

    `read_rows` yields all rows in blocks (n, width, channels): grey, RGB or RGBA with straight alpha.
    """

    size: tuple[int, int]
    channels: int
    read_rows: Callable[[], Iterator[Pixels]]


@dataclass(frozen=True)
class ScalableImage:
    """A drawing that can be painted at any scale. `size` is the largest useful size in pixels.

    `paint` takes the width and height of the whole drawing in pixels and a box within it, and returns that box as RGB
    or RGBA with straight alpha.
    """

    size: tuple[int, int]
    paint: Callable[[tuple[int, int], Box], Pixels]


class Source(Protocol):
    """An opened blueprint, ready to be drawn at the requested size.

    `size` is the preview's width and height in pixels. Each call may draw again: release a raster before drawing the
    next, so that memory does not grow with the number of layers.
    """

    @property
    def size(self) -> tuple[int, int]: ...

    @property
    def geometry(self) -> Geometry: ...

    @property
    def layers(self) -> Sequence[SourceLayer]: ...

    @property
    def warnings(self) -> Sequence[RenderWarning]: ...

    @property
    def draw_order_matters(self) -> bool: ...

    def draw_preview(self) -> Raster:
        """Draw all visible layers in draw order, on transparency unless the source is opaque."""
        ...

    def draw_layer(self, index: int) -> Raster:
        """Draw the layer at `index`, cropped to its box. The layer must have one."""
        ...

    def open_full_size(
        self, background: str | None, scratch: Path, index: int | None = None
    ) -> SequentialImage | ScalableImage:
        """Open the image that tiles are cut from: the layer at `index`, or everything on `background`.

        `background` is #rrggbb, or None for transparency. `scratch` is a directory for a large temporary file that
        exists while the result is in use.
        """
        ...


_MODULES = {
    "dxf": "dxf",
    "dwg": "dxf",  # converted before, by workers.render.sandboxed.conversion
    "svg": "svg",
    "pdf": "pdf",
    "png": "raster",
    "jpeg": "raster",
    "tiff": "raster",
    "webp": "raster",
}


def open_source(plan: Plan, path: Path, options: RenderOptions, progress: ProgressReporter) -> Source:
    """Open and draw the blueprint at `path` with the module for the plan's format.

    Reports the stages `open` and `draw`. Raises `BlueprintError` if the source is damaged, or lacks the requested page,
    layout or layer.
    """
    family = import_module(f"workers.render.sources.{_MODULES[plan.format]}")
    source: Source = family.open_source(plan, path, options, progress)
    return source
