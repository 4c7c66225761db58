"""SVG through librsvg (inside libvips), drawn at the preview's own resolution.

The text is checked first, then handed over from memory: with no base address librsvg can follow no reference.
"""

from pathlib import Path
from xml.parsers import expat

import pyvips

from tasks.plan import Plan, Unsupported
from tasks.plan.svg import refuse_entities
from tasks.renders import PERMYRIAD, RenderOptions
from workers.blueprint.errors import BlueprintError
from workers.blueprint.native import prepare_vips
from workers.blueprint.piece import Box
from workers.blueprint.progress import Progress
from workers.blueprint.sizes import fit
from workers.blueprint.sources import Geometry
from workers.blueprint.sources.flat import FlatSource
from workers.blueprint.sources.raster import piece, reason

MAX_BYTES = 64 * 1024**2  # the text and librsvg's tree are both held in memory

PIXELS_PER_INCH = 96  # CSS 2.1, 4.3.2

_LINKS = frozenset({"href", "http://www.w3.org/1999/xlink href", "http://www.w3.org/2000/svg href", "src"})
_HARMLESS = ("#", "data:")
_ANCHOR = "http://www.w3.org/2000/svg a"


def open_source(plan: Plan, path: Path, options: RenderOptions, progress: Progress) -> FlatSource:
    """Draw the SVG. Raises `BlueprintError` (`too-large`, `broken-svg`, `external-reference`, `unsupported`)."""
    if plan.size > MAX_BYTES:
        raise BlueprintError("too-large", f"An SVG may have {MAX_BYTES // 1024**2} MiB. Split it, or send it as PDF.")
    progress.at("open")
    text = path.read_bytes()
    check(text)
    progress.at("draw")
    prepare_vips()
    try:
        whole, box = place(plan.width or 1, plan.height or 1, options)
        image = pyvips.Image.thumbnail_buffer(
            text, whole[0], height=whole[1], size="force", option_string="unlimited=true"
        ).crop(*box)
        base = piece(image)
    except pyvips.Error as error:
        raise BlueprintError(
            "broken-svg", f"The SVG cannot be drawn ({reason(error)}). Open it in an editor and save it again."
        ) from error
    return FlatSource(base, Geometry(plan.width, plan.height))


def place(width: int, height: int, options: RenderOptions) -> tuple[tuple[int, int], Box]:
    """Pixels of the whole drawing, and of that the box that is shown: `width` wide, or drawn at `dpi`."""
    left, top, right, bottom = (part / PERMYRIAD for part in options.window)
    across, down = width * (right - left), height * (bottom - top)
    longer = round(max(across, down) * options.dpi / PIXELS_PER_INCH) if options.dpi else options.width
    columns, rows = fit(across, down, max(1, longer))
    whole = max(columns, round(columns / (right - left))), max(rows, round(rows / (bottom - top)))
    x, y = min(round(left * whole[0]), whole[0] - columns), min(round(top * whole[1]), whole[1] - rows)
    return whole, (x, y, columns, rows)


def check(text: bytes) -> None:
    """Refuse entities, references to other files and malformed XML. Raises `BlueprintError`."""

    def start(name: str, attributes: dict[str, str]) -> None:
        for key, value in attributes.items():
            if key in _LINKS and name != _ANCHOR and not value.strip().startswith(_HARMLESS):
                raise BlueprintError(
                    "external-reference",
                    f"The SVG refers to another file ({value[:80]}). Embed what it needs and send it again.",
                )

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    refuse_entities(parser)
    try:
        parser.Parse(text, True)  # noqa: FBT003 - the parser takes no keyword
    except expat.ExpatError as error:
        raise BlueprintError("broken-svg", f"The SVG is not well-formed XML ({error}). Export it again.") from None
    except Unsupported as error:
        raise BlueprintError(error.code, error.message) from None
