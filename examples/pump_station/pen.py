"""Short functions that draw into one view, in the coordinates of that view (model millimetres)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import tan

from ezdxf.document import Drawing
from ezdxf.entities.insert import Insert
from ezdxf.enums import TextEntityAlignment
from ezdxf.layouts.base import BaseLayout
from ezdxf.math import Vec2

from examples.pump_station.standards import DIMENSIONS, HEADING, LETTERING, SCALE, TEXT

Point = tuple[float, float]

ELBOW = 1.5  # centreline radius of a long-radius elbow in nominal diameters, ASME B16.9


def rectangle(x0: float, y0: float, x1: float, y1: float) -> list[Point]:
    """The corners of a rectangle, from two opposite ones."""
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _point(vector: Vec2) -> Point:
    return (vector.x, vector.y)


@dataclass(frozen=True, slots=True)
class Pen:
    """Draws into `space` with the origin at `at`. `size` multiplies lengths: SCALE to draw in printed millimetres."""

    doc: Drawing
    space: BaseLayout
    at: Point = (0.0, 0.0)
    size: float = 1.0

    def place(self, point: Point) -> Point:
        """From the view's coordinates to the model's."""
        return (self.at[0] + point[0] * self.size, self.at[1] + point[1] * self.size)

    def line(
        self, layer: str, *points: Point, close: bool = False, linetype: str = "BYLAYER", colour: int = 256
    ) -> None:
        """A polyline through the points."""
        attributes = {"layer": layer, "linetype": linetype, "color": colour}
        self.space.add_lwpolyline([self.place(p) for p in points], close=close, dxfattribs=attributes)

    def box(self, layer: str, x0: float, y0: float, x1: float, y1: float, linetype: str = "BYLAYER") -> None:
        """A rectangle from two opposite corners."""
        self.line(layer, *rectangle(x0, y0, x1, y1), close=True, linetype=linetype)

    def circle(self, layer: str, centre: Point, radius: float, linetype: str = "BYLAYER") -> None:
        """A circle."""
        attributes = {"layer": layer, "linetype": linetype}
        self.space.add_circle(self.place(centre), radius * self.size, dxfattribs=attributes)

    def arc(self, layer: str, centre: Point, radius: float, start: float, end: float) -> None:
        """An arc, counter-clockwise, in degrees."""
        self.space.add_arc(self.place(centre), radius * self.size, start, end, dxfattribs={"layer": layer})

    def hatch(
        self,
        layer: str,
        paths: Iterable[Sequence[Point]],
        pattern: str = "ANSI31",
        scale: float = 25.0,
        angle: float = 0.0,
    ) -> None:
        """Fill what lies inside an odd number of the paths."""
        hatch = self.space.add_hatch(dxfattribs={"layer": layer})
        if pattern == "SOLID":
            hatch.set_solid_fill(color=256)
        else:
            hatch.set_pattern_fill(pattern, color=256, scale=scale, angle=angle)
        for path in paths:
            hatch.paths.add_polyline_path([self.place(p) for p in path], is_closed=True)

    def text(
        self,
        layer: str,
        point: Point,
        words: str,
        *,
        height: float = TEXT,
        align: TextEntityAlignment = TextEntityAlignment.MIDDLE_CENTER,
        angle: float = 0.0,
        style: str = LETTERING,
    ) -> None:
        """One line of text, `height` in printed millimetres."""
        text = self.space.add_text(
            words, height=height * SCALE, rotation=angle, dxfattribs={"layer": layer, "style": style}
        )
        text.set_placement(self.place(point), align=align)

    def note(
        self, layer: str, point: Point, words: str, *, width: float, height: float = TEXT, anchor: int = 1
    ) -> None:
        """A paragraph, `width` and `height` in printed millimetres; `anchor` 1..9 as in DXF, 1 is top left."""
        self.space.add_mtext(
            words,
            dxfattribs={
                "layer": layer,
                "style": LETTERING,
                "char_height": height * SCALE,
                "width": width * SCALE,
                "attachment_point": anchor,
                "insert": self.place(point),
                "line_spacing_factor": 1.1,
            },
        )

    def heading(self, point: Point, words: str, height: float = 5.0) -> None:
        """The title of a view or table: bold, left-aligned on its base line."""
        self.text("G-TEXT", point, words, height=height, align=TextEntityAlignment.LEFT, style=HEADING)

    def put(
        self, block: str, layer: str, point: Point, *, scale: float = 1.0, angle: float = 0.0, **attributes: str
    ) -> Insert:
        """Insert a block and fill in its attributes."""
        factors = {"xscale": scale, "yscale": scale, "zscale": scale}
        insert = self.space.add_blockref(
            block, self.place(point), dxfattribs={"layer": layer, "rotation": angle, **factors}
        )
        insert.add_auto_attribs(attributes)
        for attribute in insert.attribs:
            attribute.dxf.layer = layer
        return insert

    def leader(self, words: str, *points: Point, width: float = 60.0) -> None:
        """An arrow from a text to an object: the first point is the tip, the last one is the start of the text."""
        tip, *_, end = points
        to_the_right = end[0] >= points[-2][0]
        landing = (end[0] + (1 if to_the_right else -1) * 2 * SCALE / self.size, end[1])
        self.space.add_leader(
            [self.place(p) for p in (tip, *points[1:], landing)],
            dimstyle=DIMENSIONS,
            override={"dimldrblk": "", "dimtsz": 0, "dimclrd": 256},
            dxfattribs={"layer": "G-TEXT"},
        )
        gap = (1 if to_the_right else -1) * SCALE / self.size
        self.note("G-TEXT", (landing[0] + gap, landing[1]), words, width=width, anchor=4 if to_the_right else 6)

    def balloon(self, number: int, point: Point, *tips: Point) -> None:
        """A number of the parts list in a circle, with lines to the parts."""
        radius = 4.0 * SCALE
        for tip in tips:
            centre = Vec2(point)
            start = centre + (Vec2(tip) - centre).normalize(radius)
            self.line("G-SYMB", _point(start), tip)
            self.circle("G-SYMB", tip, 0.6 * SCALE)
        self.put("BALLOON", "G-SYMB", point, scale=SCALE, NO=str(number))

    def dimension(self, start: Point, end: Point, line: Point, angle: float = 0.0, measure: float = 1.0) -> None:
        """A linear dimension whose line passes through `line`; angle 0 is horizontal, 90 vertical.

        `measure` multiplies the figure: the inverse of the view's `size` in a detail.
        """
        self.space.add_linear_dim(
            base=self.place(line),
            p1=self.place(start),
            p2=self.place(end),
            angle=angle,
            dimstyle=DIMENSIONS,
            override={"dimlfac": measure},
            dxfattribs={"layer": "G-DIMS"},
        ).render()

    def chain(self, stations: Sequence[float], along: float, foot: float, *, vertical: bool = False) -> None:
        """Dimensions in a row from station to station; extension lines begin at `foot`, the line lies at `along`."""
        for a, b in pairwise(stations):
            if vertical:
                self.dimension((foot, a), (foot, b), (along, a), 90)
            else:
                self.dimension((a, foot), (b, foot), (a, along))

    def pipe(self, layer: str, path: Sequence[Point], diameter: float, *, hidden: bool = False) -> None:
        """A pipe along `path` with long-radius elbows: walls, elbow joints and a dash-dotted centreline."""
        linetype = "HIDDEN" if hidden else "BYLAYER"
        vertices = [Vec2(p) for p in path]
        half, radius = diameter / 2, diameter * ELBOW
        begin = vertices[0]
        for before, corner, after in zip(vertices, vertices[1:], vertices[2:], strict=False):
            u, v = (corner - before).normalize(), (after - corner).normalize()
            turn = u.angle_between(v)
            tangent = radius * tan(turn / 2)
            stop, resume = corner - u * tangent, corner + v * tangent
            self._straight(layer, begin, stop, half, linetype)
            left = u.det(v) > 0
            centre = stop + u.orthogonal(ccw=left) * radius
            self._elbow(layer, centre, stop if left else resume, resume if left else stop, half)
            begin = resume
        self._straight(layer, begin, vertices[-1], half, linetype)

    def _straight(self, layer: str, a: Vec2, b: Vec2, half: float, linetype: str) -> None:
        if a.isclose(b):
            return
        side = (b - a).orthogonal().normalize(half)
        for offset in (side, -side):
            self.line(layer, _point(a + offset), _point(b + offset), linetype=linetype)
        for end in (a, b):
            self.line(layer, _point(end - side), _point(end + side), linetype=linetype)
        self.line("P-PIPE-CNTR", _point(a), _point(b))

    def _elbow(self, layer: str, centre: Vec2, start: Vec2, end: Vec2, half: float) -> None:
        radius = (start - centre).magnitude
        first, last = (start - centre).angle_deg, (end - centre).angle_deg
        for r in (radius - half, radius + half):
            self.arc(layer, _point(centre), r, first, last)
        self.arc("P-PIPE-CNTR", _point(centre), radius, first, last)
