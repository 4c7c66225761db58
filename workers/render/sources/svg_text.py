"""The text of an SVG: checked, its layers found, and rewritten to show some of them and a part of the sheet.

One pass of a streaming parser notes where each child of the root begins and ends; a rewrite copies those bytes.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from tasks.plan import Unsupported
from tasks.plan.svg import refuse_entities, size_of
from tasks.plan.svg_layers import NAMESPACE, Child, SvgLayer, child, layers_of
from workers.render.errors import BlueprintError

# Namespaced as the parser gives them.
_LINKS = frozenset({"href", "http://www.w3.org/1999/xlink href", "http://www.w3.org/2000/svg href", "src"})
_HARMLESS = ("#", "data:")
_ANCHOR, _STYLE, _ROOT = f"{NAMESPACE} a", f"{NAMESPACE} style", f"{NAMESPACE} svg"
_URL = re.compile(r"url\(\s*[\"']?#([^\"')\s]+)")

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_DECLARATION = re.compile(r"\A\ufeff?<\?xml[^>]*\?>")
_TAG = re.compile(rb"<(?:[^>\"']|\"[^\"]*\"|'[^']*')*>")
_SIZE = re.compile(rb"\s(?:width|height|x|y)\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_STYLED_SIZE = re.compile(rb"(?<![-\w])(?:width|height)\s*:[^;\"']*")  # which would win over attributes
_NOT_SHOWN = re.compile(rb"(\bdisplay\s*(?::|=\s*[\"'])\s*)none\b")

# A prefix of our own: whatever the text calls the namespace keeps its meaning inside.
_OURS = b'xmlns:sheet="http://www.w3.org/2000/svg"'
_GONE = b"<sheet:g " + _OURS + b"/>"
_HIDDEN = b"<sheet:g " + _OURS + b' style="display:none">', b"</sheet:g>"

# Effects that look at everything beneath, or hold for the sheet as a whole.
_ACROSS = (b"mix-blend-mode", b"enable-background")
_OF_ALL = frozenset({"opacity", "filter", "mask"})


@dataclass
class _Part:
    """Bytes of a child of the root, ids defined in it, and ids that it refers to."""

    start: int
    facts: Child
    end: int = 0
    ids: set[str] = field(default_factory=set)
    uses: set[str] = field(default_factory=set)
    styles: bool = False


@dataclass(frozen=True)
class SvgText:
    """A checked SVG. `size` is its width and height in pixels at 96 to the inch, None where it leaves them open."""

    content: bytes
    size: tuple[float, float] | None
    layers: tuple[SvgLayer, ...]
    draw_order_matters: bool
    root: tuple[int, int]
    end: int
    parts: tuple[_Part, ...]
    needed: frozenset[int]

    @property
    def has_filters(self) -> bool:
        """Whether something may be blurred or otherwise worked out from pixels, some of which a part lacks."""
        return b"filter" in self.content

    @classmethod
    def read(cls, content: bytes) -> "SvgText":
        """Check `content`. Costs the text once more where it is UTF-16, and some 100 bytes an id and reference.

        Raises `BlueprintError` (`broken-svg`, `external-reference`, `unsupported`).
        """
        if content.startswith(_UTF16):
            content = _as_utf8(content)
        reader = _Reader()
        reader.read(content)
        first = _TAG.match(content, reader.root)
        if first is None:
            raise BlueprintError("broken-svg", "The SVG is in an encoding that cannot be read. Save it as UTF-8.")
        for part in reader.parts:
            part.end = _element_end(content, part.start, part.end)
        layers = tuple(layers_of([part.facts for part in reader.parts]))
        across = any(word in content for word in _ACROSS) or not _OF_ALL.isdisjoint(reader.attributes)
        return cls(
            content,
            size_of(reader.attributes),
            layers,
            bool(layers) and across,
            first.span(),
            _element_end(content, reader.root, reader.end),
            tuple(reader.parts),
            _needed(reader.parts, reader.elsewhere),
        )

    def showing(
        self, shown: Collection[int], sheet: tuple[float, float], window: tuple[float, ...], size: tuple[int, int]
    ) -> bytes:
        """The SVG with the layers in `shown` alone, of which `window` is drawn at `size` pixels.

        `sheet` is the size of the whole in its own pixels, `window` the left, top, right and bottom of the part in
        shares of it. Costs the bytes of what is left.
        """
        left, top, right, bottom = window
        width, height = sheet
        box = f"{left * width:.9g} {top * height:.9g} {(right - left) * width:.9g} {(bottom - top) * height:.9g}"
        outer = f'width="{size[0]}" height="{size[1]}" viewBox="{box}" preserveAspectRatio="none">'
        start, stop = self.root
        tag = _STYLED_SIZE.sub(b"", _SIZE.sub(b"", self.content[start:stop]))
        name = re.match(rb"<[^\s/>]+", tag)
        at = name.end() if name else 0
        return b"".join(
            (
                self.content[:start],
                b"<sheet:svg ",
                _OURS,
                b" ",
                outer.encode(),
                tag[:at],
                f' width="{width:.9g}" height="{height:.9g}"'.encode(),
                tag[at:],
                *self._inside(frozenset(shown)),
                b"</sheet:svg>",
            )
        )

    def _inside(self, shown: frozenset[int]) -> Iterator[bytes]:
        """What follows the root's start tag, up to and with its end tag."""
        change = self._changes(shown)
        at = self.root[1]
        for index, part in enumerate(self.parts):
            if index in change:
                yield self.content[at : part.start]
                yield change[index]
                at = part.end
        if at < self.end:
            yield self.content[at : self.end]

    def _changes(self, shown: frozenset[int]) -> Mapping[int, bytes]:
        change: dict[int, bytes] = {}
        for number, layer in enumerate(self.layers):
            for index in layer.children:
                part = self.parts[index]
                whole = self.content[part.start : part.end]
                if number not in shown:
                    change[index] = whole.join(_HIDDEN) if index in self.needed else _GONE
                elif layer.hidden:
                    stop = _tag_end(whole, 0)
                    change[index] = _NOT_SHOWN.sub(rb"\1inline", whole[:stop]) + whole[stop:]
        return change


class _Reader:
    """Handlers of one pass."""

    def __init__(self) -> None:
        self.root = -1
        self.end = 0
        self.attributes: dict[str, str] = {}
        self.parts: list[_Part] = []
        self._depth = 0
        self.elsewhere = _Part(0, Child(drawn=False, name=None, marked=False, hidden=False))
        self._parser = expat.ParserCreate(namespace_separator=" ")

    def read(self, content: bytes) -> None:
        parser = self._parser
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._stop
        refuse_entities(parser)
        try:
            parser.Parse(content, True)  # noqa: FBT003 - the parser takes no keyword
        except (expat.ExpatError, LookupError, ValueError) as error:  # the others are about its encoding
            raise BlueprintError("broken-svg", f"The SVG is not well-formed XML ({error}). Export it again.") from None
        except Unsupported as error:
            raise BlueprintError(error.code, error.message) from None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._depth == 0:
            self._open_root(name, attributes)
        elif self._depth == 1:
            self.parts.append(_Part(self._parser.CurrentByteIndex, child(name, attributes)))
        self._depth += 1
        part = self.parts[-1] if self.parts else self.elsewhere
        if name == _STYLE:
            part.styles = True
            self._parser.CharacterDataHandler = self._text
        for key, value in attributes.items():
            if key in _LINKS:
                _refuse_elsewhere(name, value)
                if value.startswith("#"):
                    part.uses.add(value[1:])
            elif key == "id":
                part.ids.add(value)
            elif "url(" in value:
                part.uses.update(_URL.findall(value))

    def _open_root(self, name: str, attributes: dict[str, str]) -> None:
        if name != _ROOT:
            raise BlueprintError("broken-svg", f'The SVG lacks xmlns="{NAMESPACE}". Open it in an editor and save it.')
        self.root = self._parser.CurrentByteIndex
        self.attributes = attributes

    def _stop(self, name: str) -> None:
        self._depth -= 1
        if name == _STYLE:
            self._parser.CharacterDataHandler = None
        if self._depth == 1:
            self.parts[-1].end = self._parser.CurrentByteIndex
        elif self._depth == 0:
            self.end = self._parser.CurrentByteIndex

    def _text(self, text: str) -> None:
        self.parts[-1].uses.update(_URL.findall(text))


def _refuse_elsewhere(name: str, value: str) -> None:
    if name != _ANCHOR and not value.strip().startswith(_HARMLESS):
        raise BlueprintError(
            "external-reference",
            f"The SVG refers to another file ({value[:80]}). Embed what it needs and send it again.",
        )


def _needed(parts: list[_Part], elsewhere: _Part) -> frozenset[int]:
    """Parts that others refer to, or that hold rules for all: they are hidden, never left out."""
    owner = {identity: index for index, part in enumerate(parts) for identity in part.ids}
    used = {owner[name] for name in elsewhere.uses if name in owner}
    for index, part in enumerate(parts):
        used.update(owner[name] for name in part.uses if owner.get(name, index) != index)
        if part.styles:
            used.add(index)
    return frozenset(used)


def _tag_end(content: bytes, start: int) -> int:
    tag = _TAG.match(content, start)
    return tag.end() if tag else start


def _element_end(content: bytes, start: int, at: int) -> int:
    """The byte after the element at `start`, of which the parser saw the end at `at`."""
    stop = _tag_end(content, start)
    return stop if content[stop - 2 : stop] == b"/>" else content.index(b">", at) + 1


def _as_utf8(content: bytes) -> bytes:
    try:
        text = content.decode("utf-16")
    except UnicodeDecodeError as error:
        raise BlueprintError("broken-svg", f"The SVG is not UTF-16 ({error.reason}). Export it again.") from None
    return _DECLARATION.sub("", text).encode()
