"""The layout of the flame graph: the call stacks of leaked allocations, as wide as their bytes. All in pixels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from leaks.roots import AllocationSite
from tasks.utils.units import format_bytes

WIDTH = 1100
ROW_HEIGHT = 19

# Narrower boxes are left out.
MIN_BOX_WIDTH = 0.6

# The width of a character, and the fewest characters that are worth a label.
CHARACTER_WIDTH = 6.4
MIN_LABEL = 3


@dataclass(slots=True)
class Node:
    """A function at its position in the tree, and the bytes allocated below it."""

    label: str
    file: str = ""
    bytes: int = 0
    blocks: int = 0
    callees: dict[str, "Node"] = field(default_factory=dict)

    def add(self, site: AllocationSite) -> None:
        """Add an allocation site to each of its callers."""
        self.bytes += site.bytes
        self.blocks += site.blocks
        node = self
        for frame in reversed(site.stack):
            node = node.callees.setdefault(frame.label, Node(frame.label, frame.file))
            node.bytes += site.bytes
            node.blocks += site.blocks

    def depth(self) -> int:
        """Number of rows of the tree."""
        return 1 + max((callee.depth() for callee in self.callees.values()), default=0)


@dataclass(frozen=True, slots=True)
class Box:
    """A function in the graph; `label` is empty where there is no room."""

    x: float
    y: int
    width: float
    hue: int
    title: str
    label: str
    height: int = ROW_HEIGHT - 1


@dataclass(frozen=True, slots=True)
class FlameGraph:
    """Everything that the template draws."""

    boxes: list[Box]
    height: int
    width: int = WIDTH


def build_tree(sites: Sequence[AllocationSite]) -> Node:
    """All sites in one tree, without the outermost callers that all of them share."""
    top = Node("all leaked memory")
    for site in sites:
        top.add(site)
    node = top
    while len(node.callees) == 1 and (only := next(iter(node.callees.values()))).callees:
        node = only
    return Node(top.label, "", node.bytes, node.blocks, node.callees)


def lay_out_flame_graph(sites: Sequence[AllocationSite]) -> FlameGraph | None:
    """The graph, with callers above and allocations below; None without sites."""
    top = build_tree(sites)
    if not top.bytes:
        return None
    return FlameGraph(list(_boxes(top, 0.0, 0, WIDTH / top.bytes)), top.depth() * ROW_HEIGHT + 2)


def _boxes(node: Node, x: float, row: int, pixels_per_byte: float) -> Iterator[Box]:
    width = node.bytes * pixels_per_byte
    if width < MIN_BOX_WIDTH:
        return
    yield Box(
        x=x,
        y=row * ROW_HEIGHT,
        width=max(width - 0.6, 0.4),
        hue=crc32(node.file.encode()) % 360,
        title=f"{node.label}: {node.bytes:,} bytes ({format_bytes(node.bytes)}) in {node.blocks:,} blocks. {node.file}",
        label=_label(node.label, int((width - 8) / CHARACTER_WIDTH)),
    )
    for callee in sorted(node.callees.values(), key=lambda each: -each.bytes):
        yield from _boxes(callee, x, row + 1, pixels_per_byte)
        x += callee.bytes * pixels_per_byte


def _label(name: str, characters: int) -> str:
    if characters < MIN_LABEL:
        return ""
    return name if len(name) <= characters else f"{name[: characters - 1]}…"
