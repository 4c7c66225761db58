"""Sources: one module a family of formats, all behind `Source`."""

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

# Deep Zoom tiles show a drawing up to this many times as wide as its preview: a 2,048-pixel sheet at 16,384.
MAX_ZOOM = 8


@dataclass(frozen=True)
class SourceLayer:
    """A layer of an opened source. `box` is what it covers of the preview, in pixels; None where it shows nothing."""

    name: str
    box: Box | None
    colour: str | None = None
    visible: bool = True
    plots: bool = True


@dataclass(frozen=True)
class Geometry:
    """The source's own size: pixels, or extents (left, bottom, right, top) in drawing units."""

    width: int | None = None
    height: int | None = None
    pages: int = 1
    extents: tuple[float, float, float, float] | None = None
    units: str | None = None
    layouts: tuple[str, ...] = ()


@dataclass(frozen=True)
class SequentialImage:
    """A picture at its full size, read once. `size` is its width and height in pixels.

    `read` gives all rows from top to bottom, in pieces (n, width, channels): grey, RGB or RGBA with straight alpha.
    """

    size: tuple[int, int]
    channels: int
    read_rows: Callable[[], Iterator[Pixels]]


@dataclass(frozen=True)
class ScalableImage:
    """A drawing that can be painted at any scale. `size` is the largest that is worth it, in pixels.

    `paint` takes the width and height of the whole drawing in pixels and a box of it, and gives that box as RGB or
    RGBA with straight alpha.
    """

    size: tuple[int, int]
    paint: Callable[[tuple[int, int], Box], Pixels]


class Source(Protocol):
    """An opened blueprint, ready to be drawn at the size that was asked for.

    `size` is the preview's width and height in pixels. A piece may be drawn anew at each call: keep none longer than
    needed, so that memory does not grow with the number of layers.
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
        """All visible layers in draw order, on transparency unless the source covers everything."""
        ...

    def draw_layer(self, index: int) -> Raster:
        """The layer at `index`, which has a box, cropped to it."""
        ...

    def open_full_size(
        self, background: str | None, scratch: Path, index: int | None = None
    ) -> SequentialImage | ScalableImage:
        """What tiles are made of: everything on `background` (#rrggbb, None is transparent), or one layer alone.

        `scratch` is a directory that a large temporary file may lie in while the result is used.
        """
        ...


_MODULES = {
    "dxf": "dxf",
    "dwg": "dwg",
    "svg": "svg",
    "pdf": "pdf",
    "png": "raster",
    "jpeg": "raster",
    "tiff": "raster",
    "webp": "raster",
}


def open_source(plan: Plan, path: Path, options: RenderOptions, progress: ProgressReporter) -> Source:
    """Open and draw the blueprint at `path` with the family that `plan` names.

    Reports the stages `open` and `draw`. Raises `BlueprintError` where the source is broken or lacks what was asked.
    """
    family = import_module(f"workers.render.sources.{_MODULES[plan.format]}")
    source: Source = family.open_source(plan, path, options, progress)
    return source
