"""DXF through ezdxf: read, drawn once into a display list, painted by cairo.

Reading costs about fifty bytes of memory for each byte of text; the document is dropped before anything is painted.
Each painting costs 4 bytes a pixel of its box.
"""

import contextlib
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ezdxf import recover, units
from ezdxf.addons import acadctb
from ezdxf.addons.drawing.config import BackgroundPolicy, Configuration, ImagePolicy
from ezdxf.addons.drawing.properties import RenderContext, layer_key
from ezdxf.document import Drawing
from ezdxf.entities.layer import Layer
from ezdxf.filemanagement import readfile
from ezdxf.layouts.layout import Layout

from tasks.plan import Plan
from tasks.renders import RenderOptions
from workers.blueprint.compose import BACKGROUNDS
from workers.blueprint.errors import BlueprintError
from workers.blueprint.manifest import Warning  # noqa: A004 - the manifest's own word
from workers.blueprint.native import short_lived
from workers.blueprint.piece import Piece
from workers.blueprint.progress import Progress
from workers.blueprint.sizes import check_pixels
from workers.blueprint.sources import Geometry, SourceLayer
from workers.blueprint.vector.backend import RecordingBackend
from workers.blueprint.vector.canvas import paint
from workers.blueprint.vector.display import DisplayList, Extents
from workers.blueprint.vector.frontend import BROKEN, BlueprintFrontend
from workers.blueprint.vector.notes import notes

# Seconds that one hatch may take before it is filled solid.
HATCH_SECONDS = 2.0

# A drawing that is one straight line still gets a picture of some height.
MIN_SIDE = 16

# Drawing units; keeps the scale finite where all points are one.
MIN_EXTENT = 1e-9


@dataclass(frozen=True)
class DxfSource:
    """A drawing recorded as a display list, placed on the preview's pixels."""

    display: DisplayList
    size: tuple[int, int]
    geometry: Geometry
    layers: Sequence[SourceLayer]
    warnings: Sequence[Warning]

    def preview(self) -> Piece:
        """All visible layers in one pass, in draw order."""
        return paint(self.display, (0, 0, *self.size))

    def layer(self, index: int) -> Piece:
        """One layer in one pass over its own marks."""
        return paint(self.display, self.layers[index].box or (0, 0, 1, 1), index)


@dataclass(frozen=True)
class _Record:
    """What is left of a document once it is drawn."""

    display: DisplayList
    extents: Extents
    units: str | None
    layers: Sequence[SourceLayer]
    warnings: Sequence[Warning]


def open_source(_plan: Plan, path: Path, options: RenderOptions, progress: Progress) -> DxfSource:
    """Read and draw a layout. Raises `BlueprintError` (`broken-dxf`, `no-such-layout`, `nothing-to-draw`)."""
    progress.at("open")
    with short_lived():
        record = _record(path, options, progress)
    return _place(record, options.width)


def _record(path: Path, options: RenderOptions, progress: Progress) -> _Record:
    document, warnings = _read(path)
    layout = _layout(document, options.layout)
    progress.at("draw")
    context = RenderContext(document, ctb=acadctb.new_ctb())  # plot styles named in the drawing lie elsewhere
    backend = RecordingBackend({layer_key(layer.dxf.name): number for number, layer in enumerate(document.layers)})
    frontend = _draw(document, layout, context, backend, options, progress)
    extents = backend.display.extents()
    if extents is None:
        others = ", ".join(name for name in document.layout_names_in_taborder() if name != layout.name)
        raise BlueprintError(
            "nothing-to-draw",
            f"Layout {layout.name} shows nothing. Switch layers on, or ask for another layout ({others}).",
        )
    layers = [_describe(layer, context) for layer in document.layers]
    layers += [SourceLayer(name, None) for name in backend.names]
    unit = units.decode(document.units) if document.units else None
    return _Record(backend.display, extents, unit, layers, warnings + notes(document, frontend, backend))


def _read(path: Path) -> tuple[Drawing, list[Warning]]:
    with contextlib.suppress(*BROKEN):
        return readfile(path), []
    try:
        document, auditor = recover.readfile(path)
    except (*BROKEN, RecursionError) as error:
        raise BlueprintError(
            "broken-dxf",
            f"The DXF is damaged beyond repair ({error}). Open it in a CAD program, run AUDIT and save it again.",
        ) from error
    count = len(auditor.errors) + len(auditor.fixes)
    return document, [Warning(code="recovered", message=f"The file was damaged: {count} faults were mended or left.")]


def _layout(document: Drawing, name: str) -> Layout:
    for candidate in document.layouts:
        if candidate.name.lower() == (name.lower() or "model"):
            return candidate
    names = ", ".join(document.layout_names_in_taborder())
    raise BlueprintError("no-such-layout", f"There is no layout {name!r}. Ask for one of: {names}.")


def _describe(layer: Layer, context: RenderContext) -> SourceLayer:
    resolved = context.layers[layer_key(layer.dxf.name)]
    colour = resolved.get_entity_color_from_layer(context.current_layout_properties.default_color)
    return SourceLayer(layer.dxf.name, None, colour[:7], resolved.is_visible, bool(layer.dxf.plot))


def _draw(
    document: Drawing,
    layout: Layout,
    context: RenderContext,
    backend: RecordingBackend,
    options: RenderOptions,
    progress: Progress,
) -> BlueprintFrontend:
    background = BACKGROUNDS[options.background] or "#ffffff"
    configuration = Configuration(
        background_policy=BackgroundPolicy.CUSTOM,
        custom_bg_color=background,
        # Pictures beside a drawing are files that it names: they are never opened.
        image_policy=ImagePolicy.MISSING,
        hatching_timeout=HATCH_SECONDS,
    )
    frozen = {layer_key(layer.dxf.name) for layer in document.layers if layer.is_frozen()}
    total = max(1, len(layout))
    frontend = BlueprintFrontend(
        context, backend, configuration, frozen, lambda count: progress.at("draw", count / total)
    )
    # ezdxf prints what it skips, and a library's output is not ours to use.
    with contextlib.redirect_stdout(sys.stderr), _steady_random():
        try:
            frontend.draw_layout(layout)
        except RecursionError as error:
            raise BlueprintError(
                "broken-dxf", "The DXF has blocks that contain themselves. Open it in a CAD program and run AUDIT."
            ) from error
    return frontend


@contextlib.contextmanager
def _steady_random() -> Iterator[None]:
    """ezdxf shifts hatch lines by a random hair's breadth; the same drawing shall give the same bytes."""
    state = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(state)


def _place(record: _Record, width: int) -> DxfSource:
    """Fit the extents into `width` pixels on the longer side, without a margin: a pixel is a fixed length."""
    extents, display = record.extents, record.display
    across, up = extents.right - extents.left, extents.top - extents.bottom
    scale = width / max(across, up, MIN_EXTENT)
    size = max(MIN_SIDE, round(across * scale)), max(MIN_SIDE, round(up * scale))
    check_pixels(*size)
    # Rounding and the least side leave some slack: half of it goes to either side.
    left = (extents.left + extents.right - size[0] / scale) / 2
    top = (extents.bottom + extents.top + size[1] / scale) / 2
    display.place(left, top, scale)
    boxes = display.boxes(*size)
    layers = [replace(layer, box=boxes.get(number)) for number, layer in enumerate(record.layers)]
    shown = (left, top - size[1] / scale, left + size[0] / scale, top)
    return DxfSource(display, size, Geometry(extents=shown, units=record.units), layers, record.warnings)
