"""Warnings for the manifest about a finished drawing."""

from collections import Counter
from collections.abc import Iterator

from ezdxf.addons.drawing.properties import table_key
from ezdxf.document import Drawing
from ezdxf.fonts import fonts
from ezdxf.layouts.layout import Layout

from workers.render.manifest import RenderWarning
from workers.render.vector.backend import RecordingBackend
from workers.render.vector.frontend import BlueprintFrontend
from workers.render.vector.reader.document import OpenedDrawing

MAX_GLYPHS_SHOWN = 8  # in a warning


def collect_warnings(
    opened: OpenedDrawing, layout: Layout, frontend: BlueprintFrontend, backend: RecordingBackend
) -> list[RenderWarning]:
    """Return the warnings about a finished drawing, in a fixed order."""
    document = opened.document
    warnings = [*_drawing_warnings(document, frontend, backend, opened.damaged + frontend.damaged)]
    if opened.streamed and any(True for _ in layout.get_redraw_order()):
        warnings.append(
            (
                "draw-order-ignored",
                "The drawing is too large to apply its draw order; entities are drawn in the order of the file.",
            )
        )
    return [RenderWarning(code=code, message=message) for code, message in warnings]


def _drawing_warnings(
    document: Drawing, frontend: BlueprintFrontend, backend: RecordingBackend, damaged: Counter[str]
) -> Iterator[tuple[str, str]]:
    yield from _font_warnings(document, frontend)
    for name in _external_references(document):
        yield "xref-not-loaded", f"The external reference {name} is a separate file and was not drawn."
    if "IMAGE" in frontend.entity_types:
        yield "images-not-drawn", "Referenced images are separate files and were not drawn; only their frames were."
    if frontend.skipped:
        yield "unsupported-entities", f"Entities of unsupported types were not drawn: {_list_counts(frontend.skipped)}."
    if damaged:
        yield "damaged-entities", f"Damaged entities were not drawn: {_list_counts(damaged)}."
    if frontend.solid_lines:
        yield "lines-drawn-solid", f"Lines with too many dashes were drawn solid: {frontend.solid_lines}."
    if frontend.filled_hatches:
        yield "hatches-filled", f"Hatches that are too dense were filled: {frontend.filled_hatches}."
    if frontend.flat_gradients:
        yield (
            "gradients-flattened",
            f"Gradients were filled with the mean of their colours: {frontend.flat_gradients}.",
        )
    if backend.invalid_coordinates:
        yield "invalid-coordinates", f"Shapes with invalid coordinates were not drawn: {backend.invalid_coordinates}."


def _font_warnings(document: Drawing, frontend: BlueprintFrontend) -> Iterator[tuple[str, str]]:
    for font, replacement in _substituted_fonts(document, frontend):
        yield "font-substituted", f"Font {font} is not installed; {replacement} was used instead."
    if glyphs := sorted(frontend.text_renderer.missing_glyphs):
        shown = " ".join(glyphs[:MAX_GLYPHS_SHOWN]) + (" and others" if len(glyphs) > MAX_GLYPHS_SHOWN else "")
        advice = "Install the fonts that the drawing was made with."
        yield "missing-glyphs", f"Characters without a glyph were drawn as boxes: {shown}. {advice}"


def _list_counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def _substituted_fonts(document: Drawing, frontend: BlueprintFrontend) -> list[tuple[str, str]]:
    replaced = {}
    for name in frontend.text_styles:
        font = document.styles.get(name).dxf.font if name in document.styles else ""
        if font and not fonts.font_manager.has_font(font):
            replaced[font] = frontend.ctx.fonts[table_key(name)].filename
    return sorted(replaced.items())


def _external_references(document: Drawing) -> list[str]:
    return sorted(block.name for block in document.blocks if block.block is not None and block.block.is_xref)
