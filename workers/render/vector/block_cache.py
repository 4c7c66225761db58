"""Cache of drawn blocks: another insertion of a block with the same appearance is a rotated and moved copy.

A copy takes some 20 microseconds plus the block's points; drawing takes half a millisecond an entity.
"""

from collections import Counter
from math import cos, radians, sin

import numpy as np
from ezdxf.addons.drawing.properties import Properties
from ezdxf.entities.insert import Insert

from workers.render.vector.backend import MAX_COORDINATE
from workers.render.vector.display import CHUNK_POINTS, DisplayList

Key = tuple[object, ...]

# Points of all cached blocks: 8 bytes each, 8 MB.
MAX_CACHED_POINTS = 1_000_000


class BlockCache:
    """Recorded blocks by key: all that a block's appearance depends on, except rotation and position."""

    def __init__(self) -> None:
        self._blocks: dict[Key, DisplayList] = {}
        self._uses: Counter[Key] = Counter()
        self._points_left = MAX_CACHED_POINTS

    def get(self, key: Key) -> DisplayList | None:
        """Return the recorded block, if there is one."""
        return self._blocks.get(key)

    def should_record(self, key: Key) -> bool:
        """Whether to record the block now: at its second use, while the cache has room. Counts a use."""
        self._uses[key] += 1
        return self._uses[key] == 2 and self._points_left > 0

    def put(self, key: Key, block: DisplayList) -> None:
        """Cache a block unless it is too large."""
        points = sum(len(chunk.points) for chunk in block.all_chunks)
        if points <= min(self._points_left, CHUNK_POINTS):
            self._points_left -= points
            self._blocks[key] = block


def cache_key(insert: Insert, properties: Properties) -> Key | None:
    """Return the cache key of an insert; None if a rotated and moved copy of another one would look different.

    That is so if the insert is clipped, is not in the drawing plane, repeats, or has invalid coordinates.
    """
    dxf = insert.dxf
    if not all(abs(number) < MAX_COORDINATE for number in (dxf.insert.x, dxf.insert.y, dxf.rotation)):
        return None
    if insert.has_extension_dict or insert.mcount > 1 or not dxf.extrusion.isclose((0, 0, 1)):
        return None
    inherited = (properties.layer, properties.color, properties.linetype_name, properties.linetype_scale)
    visibility = (properties.lineweight, properties.is_visible)
    return dxf.name.lower(), dxf.xscale, dxf.yscale, dxf.zscale, *inherited, *visibility


def untransformed(insert: Insert) -> Insert:
    """Return the insert at the origin, without rotation and attributes."""
    bare = Insert.new(dxfattribs=insert.dxfattribs(drop={"handle", "owner", "insert", "rotation"}), doc=insert.doc)
    bare.dxf.discard("attribs_follow")
    return bare


def draw_cached(block: DisplayList, insert: Insert, display: DisplayList) -> None:
    """Append the recorded block to `display`, rotated and moved to the insertion point."""
    angle = radians(insert.dxf.rotation)
    rotation = np.array(((cos(angle), sin(angle)), (-sin(angle), cos(angle))))
    position = np.array((insert.dxf.insert.x, insert.dxf.insert.y))
    origin = np.array(block.origin or (0.0, 0.0))
    for chunk in block.all_chunks:
        display.append_copy(chunk, (chunk.points + origin) @ rotation + position, block.styles)
