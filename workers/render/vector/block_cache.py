"""Blocks drawn once and stamped: a block that is inserted again in the same way is only turned and moved.

A stamp costs some 20 microseconds and the block's points, where drawing it anew costs half a millisecond for each of
its entities.
"""

from collections import Counter
from math import cos, radians, sin

import numpy as np
from ezdxf.addons.drawing.properties import Properties
from ezdxf.entities.insert import Insert

from workers.render.vector.backend import MAX_COORDINATE
from workers.render.vector.display import CHUNK_POINTS, DisplayList

Key = tuple[object, ...]

# Points that all stencils together may have: 4 bytes a coordinate, 8 MB.
MAX_CACHED_POINTS = 1_000_000


class BlockCache:
    """Blocks that were recorded, by what their looks depend on besides turning and moving."""

    def __init__(self) -> None:
        self._blocks: dict[Key, DisplayList] = {}
        self._uses: Counter[Key] = Counter()
        self._points_left = MAX_CACHED_POINTS

    def get(self, key: Key) -> DisplayList | None:
        """The recorded block, if there is one."""
        return self._blocks.get(key)

    def should_record(self, key: Key) -> bool:
        """Whether to record the block now: at its second use, and while there is room."""
        self._uses[key] += 1
        return self._uses[key] == 2 and self._points_left > 0

    def put(self, key: Key, block: DisplayList) -> None:
        """Keep a block that is not too long to keep."""
        points = sum(len(part.points) for part in block.all_chunks)
        if points <= min(self._points_left, CHUNK_POINTS):
            self._points_left -= points
            self._blocks[key] = block


def cache_key(insert: Insert, properties: Properties) -> Key | None:
    """What an inserted block looks like, turned and moved to where it came from; None where that is not enough to know:
    it is clipped, lies in space or nowhere, or repeats."""
    dxf = insert.dxf
    if not all(abs(number) < MAX_COORDINATE for number in (dxf.insert.x, dxf.insert.y, dxf.rotation)):
        return None
    if insert.has_extension_dict or insert.mcount > 1 or not dxf.extrusion.isclose((0, 0, 1)):
        return None
    inherited = (properties.layer, properties.color, properties.linetype_name, properties.linetype_scale)
    shown = (properties.lineweight, properties.is_visible)
    return dxf.name.lower(), dxf.xscale, dxf.yscale, dxf.zscale, *inherited, *shown


def untransformed(insert: Insert) -> Insert:
    """The insert turned and moved to where its block was drawn, without its attributes."""
    bare = Insert.new(dxfattribs=insert.dxfattribs(drop={"handle", "owner", "insert", "rotation"}), doc=insert.doc)
    bare.dxf.discard("attribs_follow")
    return bare


def draw_cached(block: DisplayList, insert: Insert, display: DisplayList) -> None:
    """Append the recorded block to `display` at its place."""
    angle = radians(insert.dxf.rotation)
    turn = np.array(((cos(angle), sin(angle)), (-sin(angle), cos(angle))))
    place = np.array((insert.dxf.insert.x, insert.dxf.insert.y))
    origin = np.array(block.origin or (0.0, 0.0))
    for part in block.all_chunks:
        display.append_copy(part, (part.points + origin) @ turn + place, block.styles)
