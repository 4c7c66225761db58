"""Two small views: a detail of the puddle pipe at 1:10 and a key plan of the site."""

from ezdxf.enums import TextEntityAlignment

from examples.pump_station.pen import Pen, Point, rectangle
from examples.pump_station.sheet import COLUMN, EDGE

WALL = 400.0
OUTSIDE, INSIDE = 324.0 / 2, 308.0 / 2  # radii of the pipe


def draw_detail(pen: Pen) -> None:
    """Detail 1: the puddle pipe in the wall. Origin: middle of the wall on the pipe's axis, model millimetres."""
    half = WALL / 2
    for low, high in ((OUTSIDE, 320.0), (-320.0, -OUTSIDE)):
        pen.hatch("A-WALL-PATT", [rectangle(-half, low, half, high)])
        pen.line("A-WALL", (-half, low), (-half, high))
        pen.line("A-WALL", (half, low), (half, high))
        edge = high if high > 0 else low
        pen.line("A-WALL", (-half, edge), (-70, edge), (-30, edge + 40), (30, edge - 40), (70, edge), (half, edge))
    for sign in (1, -1):
        tube = rectangle(-330, sign * INSIDE, 330, sign * OUTSIDE)
        flange = rectangle(-15, sign * OUTSIDE, 15, sign * 260)
        pen.hatch("P-PIPE-SUCT", [tube], "SOLID")
        pen.hatch("P-PIPE-SUCT", [flange], "ANSI31", scale=10, angle=90)
        for outline in (tube, flange):
            pen.line("P-PIPE-SUCT", *outline, close=True)
        for x in (-330, 330):
            face = rectangle(x - 14, sign * OUTSIDE, x + 14, sign * 222)
            pen.hatch("P-PIPE-SUCT", [face], "ANSI31", scale=10, angle=90)
            pen.line("P-PIPE-SUCT", *face, close=True)
        seal: list[Point] = rectangle(-half, sign * OUTSIDE, -half + 25, sign * (OUTSIDE + 25))
        pen.hatch("A-WALL-PATT", [seal], "SOLID")
    pen.line("P-PIPE-CNTR", (-430, 0), (430, 0))
    pen.dimension((-half, -320), (half, -320), (0, -430), measure=1 / pen.size)
    pen.dimension((-330, 222), (330, 222), (0, 400), measure=1 / pen.size)
    pen.dimension((-330, -OUTSIDE), (-330, OUTSIDE), (-470, 0), 90, measure=1 / pen.size)
    pen.leader("PUDDLE FLANGE, FULLY WELDED", (10, 235), (420, 300), (450, 300), width=34)
    pen.leader("SEALING COMPOUND", (-half + 12, -OUTSIDE - 15), (-330, -300), (-350, -300), width=34)
    pen.heading((250, -390), "DETAIL 1", height=4)
    pen.text("G-TEXT", (525, -390), "SCALE 1:10", height=3, align=TextEntityAlignment.LEFT)


def draw_key_plan(pen: Pen) -> None:
    """Where the station stands on its site; `pen` draws in printed millimetres, not to scale."""
    x, y = COLUMN, 258.0
    pen.heading((x + 6, y + 66), "KEY PLAN")
    boundary = [(x + 14, y + 8), (x + 122, y + 4), (x + 140, y + 34), (x + 118, y + 60), (x + 20, y + 56)]
    pen.line("C-SITE", *boundary, close=True, linetype="PHANTOM")
    pen.line(
        "C-SITE",
        (x + 2, y + 22),
        (x + 60, y + 19),
        (x + 60, y + 30),
        (x + 84, y + 30),
        (x + 84, y + 17),
        (x + 178, y + 10),
    )
    pen.line("C-SITE", (x + 2, y + 14), (x + 178, y + 2))
    station = rectangle(x + 58, y + 34, x + 90, y + 47)
    pen.hatch("A-WALL-PATT", [station], "SOLID")
    pen.line("A-WALL", *station, close=True)
    pen.line("P-PIPE-SUCT", (x + 2, y + 50), (x + 34, y + 44), (x + 58, y + 44))
    pen.line("P-PIPE-DISC", (x + 90, y + 43), (x + 128, y + 43), (x + 150, y + 66), (x + 178, y + 66))
    for offset in (0, 7):
        pen.space.add_spline(
            [
                (*pen.place((x + 146 + dx + offset, y + dy)), 0)
                for dx, dy in ((4, 0), (12, 20), (4, 38), (14, 58), (22, 76))
            ],
            dxfattribs={"layer": "P-WATR", "linetype": "Continuous"},
        )
    for words, px, py in (("PS04", 74, 51), ("MILL LANE", 35, 15.5), ("INLET SEWER", 37, 38), ("RISING MAIN", 108, 47)):
        pen.text("G-TEXT", (x + px, y + py), words, height=2.5)
    pen.text("P-WATR", (x + 169, y + 34), "MILL BROOK", height=2.5, angle=90)
    pen.line("G-TABL", (COLUMN, 255), (EDGE, 255))
