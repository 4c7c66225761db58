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
from workers.render.vector.display import PART_POINTS, DisplayList

Key = tuple[object, ...]

# Points that all stencils together may have: 4 bytes a coordinate, 8 MB.
MAX_POINTS = 1_000_000


class Stencils:
    """Blocks that were recorded, by what their looks depend on besides turning and moving."""

    def __init__(self) -> None:
        self._kept: dict[Key, DisplayList] = {}
        self._uses: Counter[Key] = Counter()
        self._room = MAX_POINTS

    def find(self, key: Key) -> DisplayList | None:
        """The recorded block, if there is one."""
        return self._kept.get(key)

    def worth(self, key: Key) -> bool:
        """Whether to record the block now: at its second use, and while there is room."""
        self._uses[key] += 1
        return self._uses[key] == 2 and self._room > 0

    def keep(self, key: Key, stencil: DisplayList) -> None:
        """Keep a block that is not too long to keep."""
        points = sum(len(part.points) for part in stencil.whole)
        if points <= min(self._room, PART_POINTS):
            self._room -= points
            self._kept[key] = stencil


def key_of(insert: Insert, properties: Properties) -> Key | None:
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


def template(insert: Insert) -> Insert:
    """The insert turned and moved to where its block was drawn, without its attributes."""
    bare = Insert.new(dxfattribs=insert.dxfattribs(drop={"handle", "owner", "insert", "rotation"}), doc=insert.doc)
    bare.dxf.discard("attribs_follow")
    return bare


def stamp(stencil: DisplayList, insert: Insert, display: DisplayList) -> None:
    """Append the recorded block to `display` at its place."""
    angle = radians(insert.dxf.rotation)
    turn = np.array(((cos(angle), sin(angle)), (-sin(angle), cos(angle))))
    place = np.array((insert.dxf.insert.x, insert.dxf.insert.y))
    origin = np.array(stencil.origin or (0.0, 0.0))
    for part in stencil.whole:
        display.stamp(part, (part.points + origin) @ turn + place, stencil.styles)
