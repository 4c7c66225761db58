"""What a reader of a drawing should know: warnings for the manifest."""

from collections import Counter
from collections.abc import Iterator

from ezdxf.addons.drawing.properties import table_key
from ezdxf.document import Drawing
from ezdxf.fonts import fonts
from ezdxf.layouts.layout import Layout

from workers.render.manifest import Warning  # noqa: A004 - the manifest's own word
from workers.render.vector.backend import RecordingBackend
from workers.render.vector.frontend import BlueprintFrontend
from workers.render.vector.reader.document import Opened

NAMED = 8  # letters that a warning shows


def notes(opened: Opened, layout: Layout, frontend: BlueprintFrontend, backend: RecordingBackend) -> list[Warning]:
    """Warnings of a finished drawing, in a fixed order."""
    document = opened.document
    found = [*_notes(document, frontend, backend, opened.broken + frontend.broken)]
    if opened.streamed and any(True for _ in layout.get_redraw_order()):
        found.append(
            ("draw-order", "The drawing is too large to sort: it is drawn in its file's order, not in its own.")
        )
    return [Warning(code=code, message=message) for code, message in found]


def _notes(
    document: Drawing, frontend: BlueprintFrontend, backend: RecordingBackend, broken: Counter[str]
) -> Iterator[tuple[str, str]]:
    yield from _fonts(document, frontend)
    for name in _external_references(document):
        yield "xref-not-loaded", f"The external reference {name} is not part of the file and is not drawn."
    if "IMAGE" in frontend.types:
        yield "image-not-drawn", "Pictures beside the drawing are not part of the file; their frames are drawn."
    if frontend.skipped:
        yield "entities-skipped", f"Not drawn, because their kind is not supported: {_list(frontend.skipped)}."
    if broken:
        yield "entities-broken", f"Not drawn, because they are damaged: {_list(broken)}."
    if frontend.whole_lines:
        yield "line-solid", f"{frontend.whole_lines} lines have too many dashes to draw and were drawn whole."
    if frontend.solid_hatches:
        yield "hatch-solid", f"{frontend.solid_hatches} hatches are too dense to draw and were filled."
    if frontend.gradients:
        yield "gradient-flat", f"{frontend.gradients} hatches fade between colours; they were filled with the mean."
    if backend.bad_coordinates:
        yield "bad-coordinates", f"{backend.bad_coordinates} shapes have coordinates that are not usable numbers."


def _fonts(document: Drawing, frontend: BlueprintFrontend) -> Iterator[tuple[str, str]]:
    for font, replacement in _replaced_fonts(document, frontend):
        yield "font-replaced", f"Font {font} is not installed; {replacement} stands in for it."
    if letters := sorted(frontend.lettering.missing):
        shown = " ".join(letters[:NAMED]) + (" and others" if len(letters) > NAMED else "")
        advice = "Install the fonts that the drawing was made with."
        yield "letters-missing", f"Boxes stand for letters that no font here has: {shown}. {advice}"


def _list(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def _replaced_fonts(document: Drawing, frontend: BlueprintFrontend) -> list[tuple[str, str]]:
    replaced = {}
    for name in frontend.styles:
        font = document.styles.get(name).dxf.font if name in document.styles else ""
        if font and not fonts.font_manager.has_font(font):
            replaced[font] = frontend.ctx.fonts[table_key(name)].filename
    return sorted(replaced.items())


def _external_references(document: Drawing) -> list[str]:
    return sorted(block.name for block in document.blocks if block.block is not None and block.block.is_xref)
