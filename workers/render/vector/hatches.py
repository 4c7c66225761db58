"""Generate hatch lines within a work limit. Work is counted, not timed, so the result is the same on every machine."""

from collections.abc import Iterable, Iterator

from ezdxf.entities.polygon import DXFPolygon
from ezdxf.math import Vec2, Vec3
from ezdxf.path import Path
from ezdxf.render import hatching
from ezdxf.render.hatching import DenseHatchingLinesError, HatchBaseLine

# Limits of one hatch and of the whole drawing, in crossings of hatch lines with edges plus dashes. Each takes 5 to 10
# microseconds: a second a hatch, five a drawing. Denser lines are closer than a pixel anyway.
MAX_HATCH_WORK = 100_000
MAX_TOTAL_HATCH_WORK = 500_000

# Drawing units. ezdxf draws shorter patterns as solid lines.
MIN_PATTERN_LENGTH = 1e-9

Segment = tuple[Vec3, Vec3]


class HatchBudget:
    """The remaining work limit of a drawing's hatches."""

    def __init__(self) -> None:
        self.remaining = MAX_TOTAL_HATCH_WORK

    def spend(self, work: int) -> None:
        """Subtract `work`. Raises DenseHatchingLinesError if that is more than remains."""
        self.remaining -= work
        if self.remaining < 0:
            raise DenseHatchingLinesError


def hatch_lines(polygon: DXFPolygon, paths: list[Path], budget: HatchBudget) -> list[Segment]:
    """Return the lines of a pattern in world coordinates. Takes 200 bytes a line.

    Raises DenseHatchingLinesError for a hatch that is too dense: before any work if its edges show it, otherwise once
    its dashes exceed the limit.
    """
    if polygon.pattern is None or not polygon.pattern.lines:
        return []
    baselines = list(hatching.pattern_baselines(polygon, jiggle_origin=True))
    crossings = sum(_count_crossings(baseline, paths) for baseline in baselines)
    if crossings > MAX_HATCH_WORK:
        raise DenseHatchingLinesError
    budget.spend(int(crossings))
    segments: list[Segment] = []
    try:
        for segment in _segments(polygon, baselines, paths):
            segments.append(segment)
            if len(segments) > MAX_HATCH_WORK:
                raise DenseHatchingLinesError
    finally:
        budget.remaining -= len(segments)
    return segments


def _count_crossings(baseline: HatchBaseLine, paths: Iterable[Path]) -> float:
    """Count the crossings of hatch lines with edges, from the distance that each edge spans across the base line."""
    crossings = 0.0
    for path in paths:
        distances = [baseline.signed_distance(Vec2(point)) for point in path.control_vertices()]
        if distances:
            away = (abs(b - a) for a, b in zip(distances, distances[1:] + distances[:1], strict=True))
            crossings += sum(away) / abs(baseline.normal_distance) + len(distances)
    return crossings


def _segments(polygon: DXFPolygon, baselines: list[HatchBaseLine], paths: list[Path]) -> Iterator[Segment]:
    ocs = polygon.ocs()
    elevation = polygon.dxf.elevation.z
    repeats = 0.0  # a pattern may consist of gaps alone
    for baseline in baselines:
        for line in hatching.hatch_paths(baseline, paths):
            pattern = baseline.pattern_renderer(line.distance)
            if pattern.pattern_length > MIN_PATTERN_LENGTH:
                repeats += (line.end - line.start).magnitude / pattern.pattern_length
            if repeats > MAX_HATCH_WORK:
                raise DenseHatchingLinesError
            for start, end in pattern.render(line.start, line.end):
                if ocs.transform:
                    yield ocs.to_wcs((start.x, start.y, elevation)), ocs.to_wcs((end.x, end.y, elevation))
                else:
                    yield Vec3(start), Vec3(end)
