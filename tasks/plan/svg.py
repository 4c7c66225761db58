"""SVG: parses the root element with a streaming parser that rejects entities; counts the layers of small files."""

import re
from math import isinf
from typing import BinaryIO
from xml.parsers import expat

from tasks.plan.model import ACCEPTED_FORMATS, Header, UnknownFormat, Unsupported
from tasks.plan.svg_layers import NAMESPACE, count_layers

WINDOW = 256 * 1024
_CHUNK = 4096
MAX_COUNTED_BYTES = 128 * 1024  # layers of larger files are not counted; this size takes 50 ms at worst
SECONDS_PER_BYTE = 300e-9
TREE_BYTES_PER_BYTE = 40  # librsvg's tree, on top of the text

# CSS 2.1, 4.3.2: absolute lengths at 96 pixels an inch.
_PIXELS = {"": 1.0, "px": 1.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "pt": 96 / 72, "pc": 16.0}
_MAX_LENGTH_CHARACTERS = 64  # longer values are not lengths and would make the pattern slow
_LENGTH = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([a-z]*)\s*\Z")


class _RootReadError(Exception):
    """Stops the parser once the root element has been read."""


def read_header(file: BinaryIO, size: int) -> Header:
    """Read the size in pixels at 96 an inch, and count the layers of files up to 128 KiB.

    Raises `Unsupported` for entity declarations, `UnknownFormat` for XML that is not SVG.
    """
    width, height = size_in_pixels(_read_root(file)) or (None, None)
    file.seek(0)
    return Header(
        round(width) or None if width else None,
        round(height) or None if height else None,
        layers=count_layers(file.read(MAX_COUNTED_BYTES)) if size <= MAX_COUNTED_BYTES else None,
        working_bytes=TREE_BYTES_PER_BYTE * size,
        seconds=0.05 + SECONDS_PER_BYTE * size,
    )


def size_in_pixels(attributes: dict[str, str]) -> tuple[float, float] | None:
    """Return the width and height that a root element sets, in pixels at 96 an inch; None if it sets none."""
    width, height = _parse_length(attributes.get("width")), _parse_length(attributes.get("height"))
    box = _parse_view_box(attributes.get("viewBox", ""))
    if box and not (width and height):
        width, height = _fill_in_size(width, height, *box)
    if isinf(width or 0) or isinf(height or 0):
        raise Unsupported("The SVG's width or height is infinite. Set them to the drawing's size.")
    return (width, height) if width and height else None


def reject_entities(parser: expat.XMLParserType) -> None:
    """Make `parser` raise `Unsupported` at the first entity declaration."""

    def refuse(*_declaration: object) -> None:
        raise Unsupported("The SVG declares XML entities. Save it as plain SVG without a document type.")

    parser.EntityDeclHandler = refuse
    parser.UnparsedEntityDeclHandler = refuse


def _read_root(file: BinaryIO) -> dict[str, str]:
    root: dict[str, str] = {}

    def start(name: str, attributes: dict[str, str]) -> None:
        if name not in {f"{NAMESPACE} svg", "svg"}:
            raise UnknownFormat(f"This is XML, but not SVG. Send {ACCEPTED_FORMATS}.")
        root.update(attributes)
        raise _RootReadError

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    reject_entities(parser)
    try:
        for _ in range(WINDOW // _CHUNK):
            chunk = file.read(_CHUNK)
            parser.Parse(chunk, not chunk)
            if not chunk:
                break
    except _RootReadError:
        return root
    except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two: encoding errors
        raise UnknownFormat(
            f"This looks like SVG, but it is not well-formed XML ({error}). Send {ACCEPTED_FORMATS}."
        ) from None
    raise UnknownFormat(f"This is XML, but it does not start with an SVG element. Send {ACCEPTED_FORMATS}.")


def _parse_length(text: str | None) -> float | None:
    match = _LENGTH.match(text) if text and len(text) <= _MAX_LENGTH_CHARACTERS else None
    if match is None or match[2] not in _PIXELS:
        return None
    return float(match[1]) * _PIXELS[match[2]]


def _parse_view_box(text: str) -> tuple[float, float] | None:
    try:
        _x, _y, width, height = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        return None
    return (width, height) if 0 < width < float("inf") and 0 < height < float("inf") else None


def _fill_in_size(
    width: float | None, height: float | None, box_width: float, box_height: float
) -> tuple[float, float]:
    if width:
        return width, width * box_height / box_width
    if height:
        return height * box_width / box_height, height
    return box_width, box_height
