"""Layers of an SVG: top-level groups that Inkscape marks as layers, or that have an id."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.parsers import expat

NAMESPACE = "http://www.w3.org/2000/svg"
_GROUP = f"{NAMESPACE} g"
_INKSCAPE_NAMESPACE = "http://www.inkscape.org/namespaces/inkscape"

# A drawing with more layers is rendered as one layer.
MAX_LAYERS = 256

BASE = "base"

# Elements that render without being referenced (SVG 2, 3.3); the others are definitions or metadata.
_RENDERED_ELEMENTS = frozenset(
    f"{NAMESPACE} {name}"
    for name in (
        *("a", "circle", "ellipse", "foreignObject", "g", "image", "line", "path", "polygon", "polyline", "rect"),
        *("svg", "switch", "text", "use"),
    )
)
_DISPLAY_NONE = re.compile(r"(?:^|;)\s*display\s*:\s*none\b")


@dataclass(frozen=True)
class RootChild:
    """A child element of the root. `name` is its layer's name, None if it is not a candidate for a layer."""

    rendered: bool
    name: str | None
    is_inkscape_layer: bool
    hidden: bool


@dataclass(frozen=True)
class SvgLayer:
    """Consecutive children of the root that form one layer. `children` are their indexes, in drawing order."""

    name: str
    children: tuple[int, ...]
    hidden: bool = False


def describe_child(element: str, attributes: dict[str, str]) -> RootChild:
    """Describe a child element of the root. Names are qualified by their namespace, separated by a space."""
    group = element == _GROUP
    marked = group and attributes.get(f"{_INKSCAPE_NAMESPACE} groupmode") == "layer"
    name = attributes.get(f"{_INKSCAPE_NAMESPACE} label") or attributes.get("id") if marked else attributes.get("id")
    hidden = attributes.get("display") == "none" or _DISPLAY_NONE.search(attributes.get("style", "")) is not None
    return RootChild(element in _RENDERED_ELEMENTS, name if group else None, marked, group and hidden)


def group_layers(children: Sequence[RootChild]) -> list[SvgLayer]:
    """Group the root's children into layers in drawing order; empty if there are fewer than two named layers.

    Layers are the groups that Inkscape marks, or, if it marks none, the groups with an id. Elements between them become
    the layers `base`, `base 2` and so on.
    """
    has_inkscape_layers = any(element.is_inkscape_layer for element in children)
    names = [element.name if element.is_inkscape_layer or not has_inkscape_layers else None for element in children]
    if not 2 <= sum(name is not None for name in names) <= MAX_LAYERS:
        return []
    layers: list[SvgLayer] = []
    unnamed: list[int] = []
    base_count = 0

    def end_run() -> None:
        nonlocal base_count
        if unnamed:
            base_count += 1
            layers.append(SvgLayer(BASE if base_count == 1 else f"{BASE} {base_count}", tuple(unnamed)))
            unnamed.clear()

    for index, (element, name) in enumerate(zip(children, names, strict=True)):
        if name is not None:
            end_run()
            layers.append(SvgLayer(name, (index,), element.hidden))
        elif element.rendered:
            unnamed.append(index)
    end_run()
    return layers


def count_layers(text: bytes) -> int | None:
    """Count the layers of a complete SVG, 1 if it is rendered as one; None if it is not well-formed."""
    children: list[RootChild] = []
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        if depth == 1:
            children.append(describe_child(name, attributes))
        depth += 1

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(text, True)  # noqa: FBT003 - the parser takes no keyword
    except (expat.ExpatError, LookupError, ValueError):  # the latter two: encoding errors
        return None
    return len(group_layers(children)) or 1
