"""An SVG as bytes: checks it, finds its layers, and rewrites it to show some layers and a region.

One pass of a streaming parser records where each child of the root begins and ends; a rewrite copies those bytes.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from tasks.plan import Unsupported
from tasks.plan.svg import reject_entities, size_in_pixels
from tasks.plan.svg_layers import NAMESPACE, RootChild, SvgLayer, describe_child, group_layers
from workers.render.errors import BlueprintError

# With namespaces, as the parser reports them.
_LINK_ATTRIBUTES = frozenset({"href", "http://www.w3.org/1999/xlink href", "http://www.w3.org/2000/svg href", "src"})
_INTERNAL_PREFIXES = ("#", "data:")
_ANCHOR, _STYLE, _ROOT = f"{NAMESPACE} a", f"{NAMESPACE} style", f"{NAMESPACE} svg"
_URL = re.compile(r"url\(\s*[\"']?#([^\"')\s]+)")

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_DECLARATION = re.compile(r"\A\ufeff?<\?xml[^>]*\?>")
_TAG = re.compile(rb"<(?:[^>\"']|\"[^\"]*\"|'[^']*')*>")
_SIZE = re.compile(rb"\s(?:width|height|x|y)\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_STYLED_SIZE = re.compile(rb"(?<![-\w])(?:width|height)\s*:[^;\"']*")  # takes precedence over attributes
_DISPLAY_NONE = re.compile(rb"(\bdisplay\s*(?::|=\s*[\"'])\s*)none\b")

# A prefix of our own, which cannot conflict with the document's prefixes.
_OWN_NAMESPACE = b'xmlns:sheet="http://www.w3.org/2000/svg"'
_PLACEHOLDER = b"<sheet:g " + _OWN_NAMESPACE + b"/>"
_HIDDEN_GROUP = b"<sheet:g " + _OWN_NAMESPACE + b' style="display:none">', b"</sheet:g>"

# Effects that depend on the layers below, and effects of the root element on the whole drawing.
_BACKDROP_EFFECTS = (b"mix-blend-mode", b"enable-background")
_ROOT_EFFECTS = frozenset({"opacity", "filter", "mask"})


@dataclass
class _ChildSpan:
    """The bytes of a child of the root, the ids defined in it, and the ids that it references."""

    start: int
    child: RootChild
    end: int = 0
    ids: set[str] = field(default_factory=set)
    references: set[str] = field(default_factory=set)
    has_styles: bool = False


@dataclass(frozen=True)
class SvgDocument:
    """A checked SVG. `size` is its width and height in pixels at 96 an inch, None if it does not set them."""

    content: bytes
    size: tuple[float, float] | None
    layers: tuple[SvgLayer, ...]
    draw_order_matters: bool
    root: tuple[int, int]
    end: int
    children: tuple[_ChildSpan, ...]
    referenced: frozenset[int]

    @property
    def has_filters(self) -> bool:
        """Whether the document may use filters. A filter needs pixels outside the part that is drawn."""
        return b"filter" in self.content

    @classmethod
    def parse(cls, content: bytes) -> "SvgDocument":
        """Check and parse `content`. Takes some 100 bytes an id or reference, and a copy of the text if it is UTF-16.

        Raises `BlueprintError` (`damaged-svg`, `external-reference`, `unsupported`).
        """
        if content.startswith(_UTF16):
            content = _to_utf8(content)
        reader = _Parser()
        reader.parse(content)
        root_tag = _TAG.match(content, reader.root)
        if root_tag is None:
            raise BlueprintError("damaged-svg", "The SVG is in an encoding that cannot be read. Save it as UTF-8.")
        for part in reader.children:
            part.end = _element_end(content, part.start, part.end)
        layers = tuple(group_layers([part.child for part in reader.children]))
        has_cross_layer_effects = any(word in content for word in _BACKDROP_EFFECTS) or not _ROOT_EFFECTS.isdisjoint(
            reader.attributes
        )
        return cls(
            content,
            size_in_pixels(reader.attributes),
            layers,
            bool(layers) and has_cross_layer_effects,
            root_tag.span(),
            _element_end(content, reader.root, reader.end),
            tuple(reader.children),
            _find_referenced(reader.children, reader.outside),
        )

    def extract(
        self,
        shown: Collection[int],
        drawing_size: tuple[float, float],
        region: tuple[float, ...],
        size: tuple[int, int],
    ) -> bytes:
        """Return the SVG with only the layers in `shown`, set up to draw `region` at `size` pixels.

        `drawing_size` is the size of the whole in its own pixels; `region` is left, top, right and bottom as shares of
        it. Takes the bytes of the result.
        """
        left, top, right, bottom = region
        width, height = drawing_size
        box = f"{left * width:.9g} {top * height:.9g} {(right - left) * width:.9g} {(bottom - top) * height:.9g}"
        outer = f'width="{size[0]}" height="{size[1]}" viewBox="{box}" preserveAspectRatio="none">'
        start, stop = self.root
        start_tag = _STYLED_SIZE.sub(b"", _SIZE.sub(b"", self.content[start:stop]))
        name = re.match(rb"<[^\s/>]+", start_tag)
        name_end = name.end() if name else 0
        return b"".join(
            (
                self.content[:start],
                b"<sheet:svg ",
                _OWN_NAMESPACE,
                b" ",
                outer.encode(),
                start_tag[:name_end],
                f' width="{width:.9g}" height="{height:.9g}"'.encode(),
                start_tag[name_end:],
                *self._body(frozenset(shown)),
                b"</sheet:svg>",
            )
        )

    def _body(self, shown: frozenset[int]) -> Iterator[bytes]:
        """Yield the bytes from after the root's start tag to its end tag, inclusive."""
        replacements = self._replacements(shown)
        offset = self.root[1]
        for index, child in enumerate(self.children):
            if index in replacements:
                yield self.content[offset : child.start]
                yield replacements[index]
                offset = child.end
        if offset < self.end:
            yield self.content[offset : self.end]

    def _replacements(self, shown: frozenset[int]) -> Mapping[int, bytes]:
        replacements: dict[int, bytes] = {}
        for number, layer in enumerate(self.layers):
            for index in layer.children:
                child = self.children[index]
                element = self.content[child.start : child.end]
                if number not in shown:
                    replacements[index] = element.join(_HIDDEN_GROUP) if index in self.referenced else _PLACEHOLDER
                elif layer.hidden:
                    tag_end = _tag_end(element, 0)
                    replacements[index] = _DISPLAY_NONE.sub(rb"\1inline", element[:tag_end]) + element[tag_end:]
        return replacements


class _Parser:
    """Handlers of one pass of the streaming parser."""

    def __init__(self) -> None:
        self.root = -1
        self.end = 0
        self.attributes: dict[str, str] = {}
        self.children: list[_ChildSpan] = []
        self._depth = 0
        self.outside = _ChildSpan(0, RootChild(rendered=False, name=None, is_inkscape_layer=False, hidden=False))
        self._parser = expat.ParserCreate(namespace_separator=" ")

    def parse(self, content: bytes) -> None:
        parser = self._parser
        parser.StartElementHandler, parser.EndElementHandler = self._start_element, self._end_element
        reject_entities(parser)
        try:
            parser.Parse(content, True)  # noqa: FBT003 - the parser takes no keyword
        except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two: encoding errors
            raise BlueprintError("damaged-svg", f"The SVG is not well-formed XML ({error}). Export it again.") from None
        except Unsupported as error:
            raise BlueprintError(error.code, error.message) from None

    def _start_element(self, name: str, attributes: dict[str, str]) -> None:
        if self._depth == 0:
            self._open_root(name, attributes)
        elif self._depth == 1:
            self.children.append(_ChildSpan(self._parser.CurrentByteIndex, describe_child(name, attributes)))
        self._depth += 1
        child_span = self.children[-1] if self.children else self.outside
        if name == _STYLE:
            child_span.has_styles = True
            self._parser.CharacterDataHandler = self._style_text
        for key, value in attributes.items():
            if key in _LINK_ATTRIBUTES:
                _reject_external_reference(name, value)
                if value.startswith("#"):
                    child_span.references.add(value[1:])
            elif key == "id":
                child_span.ids.add(value)
            elif "url(" in value:
                child_span.references.update(_URL.findall(value))

    def _open_root(self, name: str, attributes: dict[str, str]) -> None:
        if name != _ROOT:
            raise BlueprintError(
                "damaged-svg", f'The SVG lacks xmlns="{NAMESPACE}". Open it in an editor and save it again.'
            )
        self.root = self._parser.CurrentByteIndex
        self.attributes = attributes

    def _end_element(self, name: str) -> None:
        self._depth -= 1
        if name == _STYLE:
            self._parser.CharacterDataHandler = None
        if self._depth == 1:
            self.children[-1].end = self._parser.CurrentByteIndex
        elif self._depth == 0:
            self.end = self._parser.CurrentByteIndex

    def _style_text(self, text: str) -> None:
        self.children[-1].references.update(_URL.findall(text))


def _reject_external_reference(name: str, value: str) -> None:
    if name != _ANCHOR and not value.strip().startswith(_INTERNAL_PREFIXES):
        raise BlueprintError(
            "external-reference",
            f"The SVG references another file ({value[:80]}). Embed that file in it and send it again.",
        )


def _find_referenced(children: list[_ChildSpan], outside: _ChildSpan) -> frozenset[int]:
    """Return the children that others reference, or that contain style sheets: these are hidden, never removed."""
    owner = {identity: index for index, child in enumerate(children) for identity in child.ids}
    used = {owner[name] for name in outside.references if name in owner}
    for index, child in enumerate(children):
        used.update(owner[name] for name in child.references if owner.get(name, index) != index)
        if child.has_styles:
            used.add(index)
    return frozenset(used)


def _tag_end(content: bytes, start: int) -> int:
    tag = _TAG.match(content, start)
    return tag.end() if tag else start


def _element_end(content: bytes, start: int, at: int) -> int:
    """Return the offset after the element at `start`, whose end tag the parser reported at `at`."""
    stop = _tag_end(content, start)
    return stop if content[stop - 2 : stop] == b"/>" else content.index(b">", at) + 1


def _to_utf8(content: bytes) -> bytes:
    try:
        text = content.decode("utf-16")
    except UnicodeDecodeError as error:
        raise BlueprintError("damaged-svg", f"The SVG is not valid UTF-16 ({error.reason}). Export it again.") from None
    return _DECLARATION.sub("", text).encode()
