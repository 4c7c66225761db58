"""Infinite lines (XLINE, RAY): drawn across the extents of the other entities, to which they do not contribute."""

from dataclasses import dataclass

from ezdxf.entities.dxfgfx import DXFGraphic
from ezdxf.math import Vec2
from ezdxf.math.clipping import ClippingRect2d

from workers.render.vector.display import Extents

INFINITE_TYPES = ("XLINE", "RAY")

VIEWPORT_REACH = 1e9  # drawing units: beyond any viewport, yet precise to a micrometre in doubles
DEFAULT_REACH = 10.0  # drawing units to either side if there are no other entities


@dataclass(frozen=True)
class InfiniteLine:
    """A line through `start` along the unit vector `direction`. A ray starts there."""

    start: Vec2
    direction: Vec2
    ray: bool

    def segment(self, reach: float) -> tuple[Vec2, Vec2]:
        """Return the end points at `reach` drawing units from the start."""
        back = 0.0 if self.ray else reach
        return self.start - self.direction * back, self.start + self.direction * reach

    def clip(self, extents: Extents | None) -> tuple[Vec2, Vec2] | None:
        """Return the points at which the line enters and leaves a rectangle; None if it misses it."""
        if extents is None:
            return self.segment(DEFAULT_REACH)
        low, high = Vec2(extents.left, extents.bottom), Vec2(extents.right, extents.top)
        reach = max(self.start.distance(low), self.start.distance(high)) + low.distance(high)
        segments = ClippingRect2d(low, high).clip_line(*self.segment(reach))
        return segments[0] if segments else None


def to_infinite_line(entity: DXFGraphic) -> InfiniteLine | None:
    """Project the line onto the drawing plane; None if its projection is a point."""
    direction = Vec2(entity.dxf.unit_vector)
    if direction.is_null:
        return None
    return InfiniteLine(Vec2(entity.dxf.start), direction.normalize(), entity.dxftype() == "RAY")
