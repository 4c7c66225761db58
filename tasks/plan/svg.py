"""SVG: the root element, through a streaming parser that refuses entities and stops there; of small files, layers."""

import re
from math import isinf
from typing import BinaryIO
from xml.parsers import expat

from tasks.plan.model import ACCEPTED_FORMATS, Header, UnknownFormat, Unsupported
from tasks.plan.svg_layers import NAMESPACE, count_layers

WINDOW = 256 * 1024
_CHUNK = 4096
MAX_COUNTED_BYTES = 128 * 1024  # layers of larger files are not counted: this much takes 50 ms at worst
SECONDS_PER_BYTE = 300e-9
TREE_BYTES_PER_BYTE = 40  # librsvg's tree beside the text

# CSS 2.1, 4.3.2: absolute lengths at 96 pixels an inch.
_PIXELS = {"": 1.0, "px": 1.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "pt": 96 / 72, "pc": 16.0}
_MAX_LENGTH_CHARACTERS = 64  # characters; what goes on longer is no length, and would keep the pattern busy
_LENGTH = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([a-z]*)\s*\Z")


class _RootReadError(Exception):
    """Stops the parser: everything that the plan needs has been read."""


def read_header(file: BinaryIO, size: int) -> Header:
    """Size in pixels at 96 to the inch, and layers of files up to 128 KiB.

    Raises `Unsupported` for entity declarations, `UnknownFormat` for other XML.
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
    """Width and height that a root element asks for, in pixels at 96 to the inch; None where it leaves them open."""
    width, height = _parse_length(attributes.get("width")), _parse_length(attributes.get("height"))
    box = _parse_view_box(attributes.get("viewBox", ""))
    if box and not (width and height):
        width, height = _fill_in_size(width, height, *box)
    if isinf(width or 0) or isinf(height or 0):
        raise Unsupported("The SVG's width and height are beyond all numbers. Set them to the drawing's size.")
    return (width, height) if width and height else None


def reject_entities(parser: expat.XMLParserType) -> None:
    """Make `parser` raise `Unsupported` at the first entity declaration."""

    def refuse(*_declaration: object) -> None:
        raise Unsupported("The SVG declares XML entities. Save it as plain SVG without a document type.")

    parser.EntityDeclHandler = refuse
    parser.UnparsedEntityDeclHandler = refuse


def _read_root(file: BinaryIO) -> dict[str, str]:
    found: dict[str, str] = {}

    def start(name: str, attributes: dict[str, str]) -> None:
        if name not in {f"{NAMESPACE} svg", "svg"}:
            raise UnknownFormat(f"This is XML, but not SVG. Send {ACCEPTED_FORMATS}.")
        found.update(attributes)
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
        return found
    except (expat.ExpatError, LookupError, ValueError) as error:  # the others are about its encoding
        raise UnknownFormat(
            f"This looks like SVG, but is not well-formed XML ({error}). Send {ACCEPTED_FORMATS}."
        ) from None
    raise UnknownFormat(f"This is XML, but no SVG element was found at its start. Send {ACCEPTED_FORMATS}.")


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
