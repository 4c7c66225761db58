"""A flame graph as SVG: who called whom down to the allocations that stay, as wide as their bytes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from zlib import crc32

from leaks.report.plot import format_bytes
from leaks.roots import AllocationSite

WIDTH = 1100
ROW_HEIGHT = 19

# Narrower boxes (pixels) are left out, and a letter needs about this much room.
MIN_BOX_WIDTH = 0.6
CHARACTER_WIDTH = 6.4


@dataclass(slots=True)
class Node:
    """A function in its place of the tree, and the bytes below it."""

    label: str
    file: str = ""
    bytes: int = 0
    blocks: int = 0
    callees: dict[str, "Node"] = field(default_factory=dict)

    def add(self, place: AllocationSite) -> None:
        """Count a place under each of its callers."""
        self.bytes += place.bytes
        self.blocks += place.blocks
        node = self
        for frame in reversed(place.stack):
            node = node.callees.setdefault(frame.label, Node(frame.label, frame.file))
            node.bytes += place.bytes
            node.blocks += place.blocks

    def depth(self) -> int:
        """Rows that the tree takes."""
        return 1 + max((callee.depth() for callee in self.callees.values()), default=0)


def build_tree(places: Sequence[AllocationSite]) -> Node:
    """All places in one tree, without the callers at the bottom that all of them share."""
    top = Node("all that stays")
    for place in places:
        top.add(place)
    node = top
    while len(node.callees) == 1 and (only := next(iter(node.callees.values()))).callees:
        node = only
    return Node(top.label, "", node.bytes, node.blocks, node.callees)


def render_flame_graph(places: Sequence[AllocationSite]) -> str:
    """The graph, callers above, allocations below; empty without places."""
    top = build_tree(places)
    if not top.bytes:
        return ""
    height = top.depth() * ROW_HEIGHT + 2
    boxes = "\n".join(_boxes(top, 0.0, 0, WIDTH / top.bytes))
    return f'<svg class="flame" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Flame graph">\n{boxes}\n</svg>'


def _boxes(node: Node, x: float, row: int, pixels: float) -> Iterator[str]:
    width = node.bytes * pixels
    if width < MIN_BOX_WIDTH:
        return
    title = escape(
        f"{node.label}: {node.bytes:,} bytes ({format_bytes(node.bytes)}) in {node.blocks:,} blocks. {node.file}"
    )
    hue = crc32(node.file.encode()) % 360
    y = row * ROW_HEIGHT
    yield f'<g><title>{title}</title><rect x="{x:.1f}" y="{y}" width="{max(width - 0.6, 0.4):.1f}" height="{ROW_HEIGHT - 1}" '
    yield f'fill="hsl({hue} 60% 72%)"/>'
    letters = int((width - 8) / CHARACTER_WIDTH)
    if letters >= 3:
        label = node.label if len(node.label) <= letters else f"{node.label[: letters - 1]}…"
        yield f'<text x="{x + 4:.1f}" y="{y + ROW_HEIGHT - 6}">{escape(label)}</text>'
    yield "</g>"
    for callee in sorted(node.callees.values(), key=lambda each: -each.bytes):
        yield from _boxes(callee, x, row + 1, pixels)
        x += callee.bytes * pixels
