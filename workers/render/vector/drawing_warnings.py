"""What a reader of a drawing should know: warnings for the manifest."""

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

MAX_GLYPHS_SHOWN = 8  # letters that a warning shows


def collect_warnings(
    opened: OpenedDrawing, layout: Layout, frontend: BlueprintFrontend, backend: RecordingBackend
) -> list[RenderWarning]:
    """Warnings of a finished drawing, in a fixed order."""
    document = opened.document
    found = [*_drawing_warnings(document, frontend, backend, opened.damaged + frontend.damaged)]
    if opened.streamed and any(True for _ in layout.get_redraw_order()):
        found.append(
            ("draw-order", "The drawing is too large to sort: it is drawn in its file's order, not in its own.")
        )
    return [RenderWarning(code=code, message=message) for code, message in found]


def _drawing_warnings(
    document: Drawing, frontend: BlueprintFrontend, backend: RecordingBackend, broken: Counter[str]
) -> Iterator[tuple[str, str]]:
    yield from _font_warnings(document, frontend)
    for name in _external_references(document):
        yield "xref-not-loaded", f"The external reference {name} is not part of the file and is not drawn."
    if "IMAGE" in frontend.entity_types:
        yield "image-not-drawn", "Pictures beside the drawing are not part of the file; their frames are drawn."
    if frontend.skipped:
        yield "entities-skipped", f"Not drawn, because their kind is not supported: {_list_counts(frontend.skipped)}."
    if broken:
        yield "entities-broken", f"Not drawn, because they are damaged: {_list_counts(broken)}."
    if frontend.solid_lines:
        yield "line-solid", f"{frontend.solid_lines} lines have too many dashes to draw and were drawn whole."
    if frontend.filled_hatches:
        yield "hatch-solid", f"{frontend.filled_hatches} hatches are too dense to draw and were filled."
    if frontend.flat_gradients:
        yield (
            "gradient-flat",
            f"{frontend.flat_gradients} hatches fade between colours; they were filled with the mean.",
        )
    if backend.invalid_coordinates:
        yield "bad-coordinates", f"{backend.invalid_coordinates} shapes have coordinates that are not usable numbers."


def _font_warnings(document: Drawing, frontend: BlueprintFrontend) -> Iterator[tuple[str, str]]:
    for font, replacement in _substituted_fonts(document, frontend):
        yield "font-replaced", f"Font {font} is not installed; {replacement} stands in for it."
    if letters := sorted(frontend.text_renderer.missing_glyphs):
        shown = " ".join(letters[:MAX_GLYPHS_SHOWN]) + (" and others" if len(letters) > MAX_GLYPHS_SHOWN else "")
        advice = "Install the fonts that the drawing was made with."
        yield "letters-missing", f"Boxes stand for letters that no font here has: {shown}. {advice}"


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
