"""DXF through ezdxf: read, drawn once into a display list, and painted by cairo.

Small drawings are read whole (about forty bytes of memory for each byte of text), large ones entity by entity. The
document is released before anything is painted. Each painting takes 4 bytes a pixel of its box.
"""

import contextlib
import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ezdxf import units
from ezdxf.addons import acadctb
from ezdxf.addons.drawing.config import BackgroundPolicy, Configuration, ImagePolicy
from ezdxf.addons.drawing.properties import LayerProperties, RenderContext, layer_key
from ezdxf.document import Drawing
from ezdxf.entities.layer import Layer
from ezdxf.enums import InsertUnits
from ezdxf.layouts.layout import Layout
from ezdxf.lldxf.const import DXF12

from tasks.plan import Plan
from tasks.renders import RenderOptions
from workers.render.compose import BACKGROUNDS
from workers.render.errors import BlueprintError
from workers.render.manifest import RenderWarning
from workers.render.native import release_memory_afterwards
from workers.render.progress import ProgressReporter
from workers.render.raster import Box, Pixels, Raster, flatten
from workers.render.sources import MAX_ZOOM, Geometry, ScalableImage, SourceLayer
from workers.render.vector.appearance import BlueprintContext
from workers.render.vector.backend import RecordingBackend
from workers.render.vector.display import DisplayList, Extents, View
from workers.render.vector.draw_order import draw_order_matters
from workers.render.vector.drawing_warnings import collect_warnings
from workers.render.vector.frontend import BlueprintFrontend
from workers.render.vector.painter import paint
from workers.render.vector.reader.document import OpenedDrawing, open_drawing
from workers.render.vector.text.font_matching import refresh_fonts
from workers.render.vector.view import fit_view, shown_extents

# Units that ezdxf does not convert, in millimetres. A US survey foot is 1200/3937 m.
US_SURVEY_FOOT = 1_200_000 / 3937
MILLIMETRES_PER_UNIT = {
    InsertUnits.Microinches: 25.4e-6,
    InsertUnits.Mils: 25.4e-3,
    InsertUnits.USSurveyFeet: US_SURVEY_FOOT,
    InsertUnits.USSurveyInch: US_SURVEY_FOOT / 12,
    InsertUnits.USSurveyYard: US_SURVEY_FOOT * 3,
    InsertUnits.USSurveyMile: US_SURVEY_FOOT * 5280,
}
SURVEY_UNIT_NAMES = {
    InsertUnits.USSurveyFeet: "ft",
    InsertUnits.USSurveyInch: "in",
    InsertUnits.USSurveyYard: "yd",
    InsertUnits.USSurveyMile: "mi",
}

# Layout flag (DXF reference, LAYOUT, group code 70). R12 files have it in their header.
PSLTSCALE = 1


@dataclass(frozen=True)
class DxfSource:
    """A drawing recorded as a display list, and the view that maps it to the preview's pixels."""

    display: DisplayList
    view: View
    geometry: Geometry
    layers: Sequence[SourceLayer]
    warnings: Sequence[RenderWarning]
    progress: ProgressReporter

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.view.size

    def draw_preview(self) -> Raster:
        """Paint all visible layers in one pass, in draw order."""
        return paint(self.display, self.view, (0, 0, *self.size), on_chunk=self.progress.keep_alive)

    def draw_layer(self, index: int) -> Raster:
        """Paint the marks of one layer in one pass."""
        box = self.layers[index].box or (0, 0, 1, 1)
        return paint(self.display, self.view, box, (index,), on_chunk=self.progress.keep_alive)

    @cached_property
    def draw_order_matters(self) -> bool:
        """Whether layers stacked in table order look different from the drawing."""
        return draw_order_matters(self.display, self.view, self.progress.keep_alive)

    def open_full_size(self, background: str | None, scratch: Path, index: int | None = None) -> ScalableImage:
        """Open the drawing for painting at any scale. Line widths in pixels stay the same at every zoom level."""
        del scratch
        layers = None if index is None else (index,)

        def draw(size: tuple[int, int], box: Box) -> Pixels:
            scale = self.view.scale * max(size) / max(self.size)
            raster = paint(self.display, replace(self.view, scale=scale, size=size), box, layers)
            return raster.rgb_pixels if background is None else flatten(raster.rgb_pixels, background)

        return ScalableImage((MAX_ZOOM * self.size[0], MAX_ZOOM * self.size[1]), draw)


@dataclass(frozen=True)
class _RecordedDrawing:
    """A drawn document: the part that outlives it."""

    display: DisplayList
    extents: Extents
    millimetres: float
    units: str | None
    layouts: tuple[str, ...]
    layers: Sequence[SourceLayer]
    warnings: Sequence[RenderWarning]


def open_source(_plan: Plan, path: Path, options: RenderOptions, progress: ProgressReporter) -> DxfSource:
    """Read and draw a layout.

    Raises `BlueprintError` (`damaged-dxf`, `no-such-layout`, `no-such-layer`, `nothing-to-draw`, `too-large`).
    """
    progress.update("open")
    with release_memory_afterwards():
        record = _record_drawing(path, options, progress)
    extents = shown_extents(record.extents, options)
    view = fit_view(extents, options, record.millimetres)
    boxes = record.display.layer_boxes(view)
    layers = [replace(layer, box=boxes.get(number)) for number, layer in enumerate(record.layers)]
    geometry = Geometry(extents=view.extents, units=record.units, layouts=record.layouts)
    return DxfSource(record.display, view, geometry, layers, record.warnings, progress)


def _record_drawing(path: Path, options: RenderOptions, progress: ProgressReporter) -> _RecordedDrawing:
    opened = open_drawing(path)
    document = opened.document
    layout = _find_layout(document, options.layout)
    only_layers = frozenset(layer_key(name) for name in options.layer_names)
    progress.update("draw")
    refresh_fonts()
    context = BlueprintContext(
        document, ctb=acadctb.new_ctb()
    )  # the plot style tables that a drawing names are separate files
    context.linetype_scale = _valid_linetype_scale(context.linetype_scale)
    if only_layers:
        context.set_layer_properties_override(lambda layers: _show_only(layers, only_layers))
    numbers = {layer_key(layer.dxf.name): number for number, layer in enumerate(document.layers)}
    backend = RecordingBackend(numbers, options.line_weight)
    frontend = _draw(opened, layout, context, backend, options, only_layers, progress)
    backend.display.close()
    _check_layer_names(options, document, backend.unlisted_layers)
    extents = backend.display.extents()
    if extents is None:
        others = ", ".join(name for name in document.layout_names_in_taborder() if name != layout.name)
        raise BlueprintError(
            "nothing-to-draw",
            f"Layout {layout.name} has no visible entities. Turn layers on, or choose another layout ({others}).",
        )
    layers = [_describe_layer(layer, context) for layer in document.layers]
    layers += [SourceLayer(name, None) for name in backend.unlisted_layers]
    unit = _drawing_unit(document)
    return _RecordedDrawing(
        backend.display,
        extents,
        _millimetres_per_unit(document, layout),
        SURVEY_UNIT_NAMES.get(unit) or units.decode(unit),
        tuple(document.layout_names_in_taborder()),
        layers,
        opened.warnings + collect_warnings(opened, layout, frontend, backend),
    )


def _find_layout(document: Drawing, name: str) -> Layout:
    for candidate in document.layouts:
        if candidate.name.lower() == (name.lower() or "model"):
            return candidate
    names = ", ".join(document.layout_names_in_taborder())
    raise BlueprintError("no-such-layout", f"There is no layout {name!r}. Choose one of: {names}.")


def _check_layer_names(options: RenderOptions, document: Drawing, unlisted_names: Sequence[str]) -> None:
    """Raise `no-such-layer` for a requested layer that neither the layer table nor any entity names."""
    listed_names = [layer.dxf.name for layer in document.layers]
    known_keys = {layer_key(name) for name in (*listed_names, *unlisted_names)}
    for name in options.layer_names:
        if layer_key(name) not in known_keys:
            choices = ", ".join(sorted(listed_names))
            raise BlueprintError("no-such-layer", f"There is no layer {name!r}. Choose from: {choices}.")


def _show_only(layers: Sequence[LayerProperties], layer_keys: frozenset[str]) -> None:
    for layer in layers:
        layer.is_visible = layer_key(layer.layer) in layer_keys


def _millimetres_per_unit(document: Drawing, layout: Layout) -> float:
    """Return the length of a drawing unit; a millimetre if the drawing does not set one."""
    if layout.is_modelspace:
        unit = _drawing_unit(document)
        if unit in MILLIMETRES_PER_UNIT:
            return MILLIMETRES_PER_UNIT[unit]
        return units.conversion_factor(unit, InsertUnits.Millimeters) if unit else 1.0
    return 25.4 if layout.dxf.get("plot_paper_units", 1) == 0 else 1.0


def _drawing_unit(document: Drawing) -> InsertUnits:
    try:
        return InsertUnits(document.units)
    except ValueError:  # not a unit's number
        return InsertUnits.Unitless


def _dashes_in_paper_units(document: Drawing, layout: Layout) -> bool:
    """Whether dashes have the same length on paper in all viewports, whatever their scale (AutoCAD's PSLTSCALE)."""
    if document.dxfversion == DXF12:
        return bool(document.header.get("$PSLTSCALE", 1))
    return bool(layout.dxf.layout_flags & PSLTSCALE)


def _valid_linetype_scale(value: object) -> float:
    """Return the header's linetype scale; 1 if it is not a positive number."""
    return float(value) if isinstance(value, int | float) and 0 < value < math.inf else 1.0


def _describe_layer(layer: Layer, context: RenderContext) -> SourceLayer:
    resolved = context.layers[layer_key(layer.dxf.name)]
    colour = resolved.get_entity_color_from_layer(context.current_layout_properties.default_color)
    return SourceLayer(layer.dxf.name, None, colour[:7], resolved.is_visible, bool(layer.dxf.plot))


def _draw(
    opened: OpenedDrawing,
    layout: Layout,
    context: RenderContext,
    backend: RecordingBackend,
    options: RenderOptions,
    only_layers: frozenset[str],
    progress: ProgressReporter,
) -> BlueprintFrontend:
    configuration = Configuration(
        background_policy=BackgroundPolicy.CUSTOM,
        custom_bg_color=BACKGROUNDS[options.background] or "#ffffff",
        # Referenced images are separate files and are never opened.
        image_policy=ImagePolicy.MISSING,
    )
    frozen = frozenset(layer_key(layer.dxf.name) for layer in opened.document.layers if layer.is_frozen()) - only_layers
    total = max(1, len(layout))
    opened.on_progress = lambda share: progress.update("draw", share)
    frontend = BlueprintFrontend(
        context,
        backend,
        configuration,
        model_entities=opened.model_entities,
        frozen_layers=frozen,
        only_layers=only_layers,
        dashes_in_model_units=not _dashes_in_paper_units(opened.document, layout),
        on_progress=lambda count: progress.keep_alive() if opened.streamed else progress.update("draw", count / total),
    )
    # ezdxf prints the entities that it skips; standard output carries our own reports.
    with contextlib.redirect_stdout(sys.stderr), _deterministic_random():
        try:
            if opened.streamed:
                frontend.draw_stream(layout, opened.layout_entities(layout))
            else:
                frontend.draw_layout(layout)
            frontend.draw_infinite_lines()
        except RecursionError as error:
            raise BlueprintError(
                "damaged-dxf", "The DXF has blocks that contain themselves. Open it in a CAD program and run AUDIT."
            ) from error
    return frontend


@contextlib.contextmanager
def _deterministic_random() -> Iterator[None]:
    """Seed `random`: ezdxf shifts hatch lines by a tiny random amount, and output must be deterministic."""
    state = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(state)
