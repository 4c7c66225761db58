"""Section A-A through the axis of the second pump, looking north. Origin: ground level at the west face, up is up."""

from ezdxf.enums import TextEntityAlignment

from examples.pump_station.pen import Pen, Point, rectangle
from examples.pump_station.plan import COLUMNS, DN250, DN300, DN500, DN600, HEADER_X, PUMP_X
from examples.pump_station.standards import SCALE

SHAFT = -3_000.0  # level of the pump shaft
BRANCH = -1_500.0  # level of the discharge pipework
GROUND, FLOOR, ROOF = 0.0, -4_000.0, 3_600.0

SUBSTRUCTURE: list[Point] = [
    (0, 150), (0, -5300), (6900, -5300), (7400, -4500), (18700, -4500), (18700, 150), (18400, 150), (18400, FLOOR),
    (6400, FLOOR), (6400, 150),
]  # fmt: skip
WET_WELL = rectangle(400, -150, 6000, -4800)
OPENINGS = [
    rectangle(6000, SHAFT - DN300 / 2, 6400, SHAFT + DN300 / 2),
    rectangle(0, -1400 - DN600 / 2, 400, -1400 + DN600 / 2),
    rectangle(1250, -150, 1950, 150),
]
MASONRY = [rectangle(6100, 150, 6400, ROOF), rectangle(18400, 150, 18700, ROOF), rectangle(23700, 150, 24000, ROOF)]
ROOF_SLAB = rectangle(5900, ROOF, 24200, ROOF + 300)
GROUND_SLAB: list[Point] = [
    (18700, 150), (22150, 150), (22150, -450), (22550, -450), (22550, 150), (24000, 150), (24000, -900),
    (23400, -900), (23400, -600), (22000, -600), (22000, -100), (18700, -100),
]  # fmt: skip


def draw_section(pen: Pen) -> None:
    """Draw the section."""
    _structure(pen)
    _ground(pen)
    _wet_well(pen)
    _pump(pen)
    _discharge(pen)
    _building(pen)
    _levels(pen)
    _dimensions(pen)
    _lettering(pen)


def _structure(pen: Pen) -> None:
    pen.hatch("A-WALL-PATT", [SUBSTRUCTURE, WET_WELL, *OPENINGS])
    pen.line("A-WALL", *SUBSTRUCTURE, close=True)
    pen.line("A-WALL", (1250, -150), (400, -150), (400, -4800), (6000, -4800), (6000, -150), (1950, -150), (1950, 150))
    pen.line("A-WALL", (1250, -150), (1250, 150))
    pen.hatch("A-WALL-PATT", [GROUND_SLAB])
    pen.line("A-WALL", *GROUND_SLAB, close=True)
    pen.hatch("A-WALL-PATT", [ROOF_SLAB])
    pen.line("A-WALL", *ROOF_SLAB, close=True)
    for wall in MASONRY:
        pen.hatch("A-WALL-PATT", [wall], "ANSI37", scale=30)
        pen.line("A-WALL", *wall, close=True)
    for parapet in (rectangle(5900, 3900, 6100, 4200), rectangle(24000, 3900, 24200, 4200)):
        pen.hatch("A-WALL-PATT", [parapet])
        pen.line("A-WALL", *parapet, close=True)
    blinding: list[Point] = [
        (-100, -5300),
        (6900, -5300),
        (7400, -4500),
        (18800, -4500),
        (18800, -4600),
        (7460, -4600),
        (6960, -5400),
        (-100, -5400),
    ]
    pen.hatch("A-WALL-PATT", [blinding], "SOLID")


def _ground(pen: Pen) -> None:
    for x0, x1 in ((-2_600.0, 0.0), (24_000.0, 25_300.0)):
        pen.line("C-SITE", (x0, GROUND), (x1, GROUND))
        pen.hatch("C-SITE", [rectangle(x0, -350, x1, 0)], "EARTH", scale=25, angle=45)
    pen.hatch("C-SITE", [[(18700, -100), (22000, -100), (22000, -350), (18700, -350)]], "GRAVEL", scale=12)
    pen.line("C-SITE", (18700, -350), (22000, -350))


def _wet_well(pen: Pen) -> None:
    baffle = rectangle(2200, -4800, 2400, -1000)
    pen.hatch("A-WALL-PATT", [baffle])
    pen.line("A-WALL", *baffle, close=True)
    for bench in (
        [(400.0, -4800.0), (400.0, -4200.0), (1000.0, -4800.0)],
        [(6000.0, -4800.0), (6000.0, -4300.0), (5300.0, -4800.0)],
    ):
        pen.hatch("A-WALL-PATT", [bench], "ANSI31", scale=15, angle=90)
        pen.line("A-WALL", *bench, close=True)
    pen.pipe("P-PIPE-SUCT", [(-1_500, -1400), (460, -1400)], DN600)
    pen.line("P-PIPE-SUCT", (-1_500, -1095), (-1_430, -1250), (-1_570, -1400), (-1_500, -1705))
    pen.box("P-VALV", 460, -1800, 560, -950)
    pen.line("P-VALV", (510, -950), (510, -250))
    pen.box("C-SITE", 1_200, 150, 2_000, 200)
    for level in (-1_900.0, -3_700.0):
        pen.line("P-WATR", (560, level), (2_200, level))
        pen.line("P-WATR", (2_400, level), (4_430 if level < SHAFT else 6_000, level))
        pen.line(
            "P-WATR",
            (3_200, level + 190),
            (3_090, level + 370),
            (3_310, level + 370),
            close=True,
            linetype="Continuous",
        )
        pen.line("P-WATR", (3_200, level + 190), (3_200, level + 20), linetype="Continuous")
        for step in (1, 2, 3):
            half = 260 - 70 * step
            pen.line(
                "P-WATR", (3_200 - half, level - 70 * step), (3_200 + half, level - 70 * step), linetype="Continuous"
            )
    for step in range(14):
        pen.line("A-OPNG", (1_620, -500 - step * 300), (1_900, -500 - step * 300))
    for x in (1_620, 1_900):
        pen.line("A-OPNG", (x, 100), (x, -4_600))


def _pump(pen: Pen) -> None:
    pen.pipe("P-PIPE-SUCT", [(4_600, -4_000), (4_600, SHAFT), (7_300, SHAFT)], DN300)
    pen.line("P-PIPE-SUCT", (4_438, -4_000), (4_300, -4_300), (4_900, -4_300), (4_762, -4_000))
    for x in (5_970, 6_430):
        pen.box("P-PIPE-SUCT", x - 30, SHAFT - 260, x + 30, SHAFT + 260)
    pen.put("GATE_VALVE", "P-VALV", (7_550, SHAFT), TAG="V-201", DN="300")
    pen.pipe("P-PIPE-SUCT", [(7_800, SHAFT), (8_300, SHAFT)], DN300)
    pen.put("REDUCER", "P-PIPE-SUCT", (8_315, SHAFT))
    pen.put("PUMP_SIDE", "M-PUMP", (PUMP_X, SHAFT), TAG="P-102", DUTY="180 l/s at 32 m")
    pen.put("MOTOR", "M-EQPM", (PUMP_X + 600, SHAFT), TAG="M-102", KW="90")
    plinth = rectangle(PUMP_X - 450, FLOOR, PUMP_X + 2_000, SHAFT - 550)
    pen.hatch("A-WALL-PATT", [plinth], scale=15, angle=90)
    pen.line("A-WALL", *plinth, close=True)
    pen.box("M-EQPM", 7_450, FLOOR, 7_650, SHAFT - 222)
    pen.line("P-PIPE-CNTR", (PUMP_X - 700, SHAFT), (PUMP_X + 2_050, SHAFT))


def _discharge(pen: Pen) -> None:
    pen.pipe("P-PIPE-DISC", [(PUMP_X, SHAFT + 650), (PUMP_X, BRANCH), (11_650, BRANCH)], DN250)
    pen.put("CHECK_VALVE", "P-VALV", (12_000, BRANCH), TAG="V-202", DN="250")
    pen.pipe("P-PIPE-DISC", [(12_350, BRANCH), (13_150, BRANCH)], DN250)
    pen.put("GATE_VALVE", "P-VALV", (13_400, BRANCH), TAG="V-203", DN="250")
    pen.pipe("P-PIPE-DISC", [(13_650, BRANCH), (HEADER_X - DN500 / 2, BRANCH)], DN250)
    pen.line("I-INST", (12_750, BRANCH + DN250 / 2), (12_750, BRANCH + 290))
    pen.put("INSTRUMENT", "I-INST", (12_750, BRANCH + 565), scale=SCALE, FUNC="PT", LOOP="102")
    for radius in (DN500 / 2, DN500 / 2 - 12, 350):
        pen.circle("P-PIPE-DISC", (HEADER_X, BRANCH), radius)
    for dx, dy in ((500, 0), (0, 500)):
        pen.line("P-PIPE-CNTR", (HEADER_X - dx, BRANCH - dy), (HEADER_X + dx, BRANCH + dy))
    for x, under in ((11_200, DN250 / 2), (14_500, DN250 / 2), (HEADER_X, 350)):
        pen.box("M-EQPM", x - 60, FLOOR + 20, x + 60, BRANCH - under - 40)
        pen.box("M-EQPM", x - 180, FLOOR, x + 180, FLOOR + 20)
        pen.box("M-EQPM", x - 160, BRANCH - under - 40, x + 160, BRANCH - under)
    drain = rectangle(6_620, FLOOR - 200, 6_820, FLOOR)
    pen.line("C-DRAN", *drain, close=True)


def _building(pen: Pen) -> None:
    crane = PUMP_X + 950
    pen.line(
        "S-CRAN", (crane - 100, 3_600), (crane + 100, 3_600), (crane + 100, 3_570), (crane + 8, 3_570),
        (crane + 8, 3_330), (crane + 100, 3_330), (crane + 100, 3_300), (crane - 100, 3_300), (crane - 100, 3_330),
        (crane - 8, 3_330), (crane - 8, 3_570), (crane - 100, 3_570), close=True, linetype="Continuous",
    )  # fmt: skip
    pen.box("S-CRAN", crane - 220, 2_900, crane + 220, 3_230, linetype="Continuous")
    pen.line("S-CRAN", (crane, 2_900), (crane, 1_500))
    pen.circle("S-CRAN", (crane, 1_420), 80, linetype="Continuous")
    for x in (7_300, 11_900, 14_900):
        pen.box("A-OPNG", x, 1_700, x + 1_800, 2_700)
        pen.box("A-OPNG", x + 60, 1_760, x + 870, 2_640)
        pen.box("A-OPNG", x + 930, 1_760, x + 1_740, 2_640)
    pen.line("A-OPNG", (6_400, 150), (18_400, 150), linetype="HIDDEN")
    for section in range(2):
        x = 23_000 + section * 300
        pen.box("M-EQPM", x, 150, x + 300, 2_350)
    pen.box("M-EQPM", 19_000, 250, 20_600, 1_750)
    for step in range(6):
        pen.line("M-EQPM", (19_120 + step * 272, 400), (19_120 + step * 272, 1_600))
    pen.box("E-POWR", 17_300, 2_200, 22_900, 2_300)
    pen.line("E-POWR", (17_450, 2_200), (17_450, -2_400), (10_195, -2_400), (10_195, SHAFT + 370))


def _levels(pen: Pen) -> None:
    for x, level in (
        (-2_400, 0), (-2_400, -4_800), (-2_400, -1_400),
        (16_500, FLOOR), (20_900, 150), (26_000, 0),
        (4_700, 3_900),
    ):  # fmt: skip
        words = "%%P0.000" if level == 0 else f"{level / 1000:+.3f}"
        pen.put("LEVEL", "G-DIMS", (x, level), scale=SCALE, LEVEL=words)
    pen.line("G-DIMS", (-2_000, -4_800), (-100, -4_800), linetype="CENTER")
    for level, words in ((-1_900.0, "TOP WATER -1.900"), (-3_700.0, "STOP -3.700")):
        pen.text("P-WATR", (3_400, level + 120), words, height=2.0, align=TextEntityAlignment.MIDDLE_LEFT)


def _dimensions(pen: Pen) -> None:
    pen.chain(list(COLUMNS.values()), -6_050, -5_550)
    for name, x in COLUMNS.items():
        pen.line("S-GRID", (x, -6_425), (x, -4_700 if x > 18_000 else -5_450))
        pen.put("GRID_BUBBLE", "S-GRID", (x, -6_700), scale=SCALE, ID=name)
    pen.chain([-4_500, FLOOR, 150, ROOF, 3_900], 25_750, 24_350, vertical=True)
    pen.dimension((24_350, -4_500), (24_350, 3_900), (26_900, 0), 90)
    pen.dimension((16_300, FLOOR), (16_300, BRANCH), (17_000, FLOOR), 90)
    pen.dimension((11_300, FLOOR), (11_300, SHAFT), (11_900, FLOOR), 90)
    pen.space.add_aligned_dim(
        p1=pen.place((400, -4_200)),
        p2=pen.place((1_000, -4_800)),
        distance=350,
        dimstyle="STATION-50",
        dxfattribs={"layer": "G-DIMS"},
    ).render()
    pen.space.add_radius_dim(
        center=pen.place((PUMP_X + DN250 * 1.5, BRANCH - DN250 * 1.5)),
        radius=DN250 * 1.5,
        angle=135,
        dimstyle="STATION-50",
        override={"dimtsz": 0},
        dxfattribs={"layer": "G-DIMS"},
    ).render()


def _lettering(pen: Pen) -> None:
    pen.leader("MONORAIL HOIST, SWL 2 t", (PUMP_X + 1_170, 3_060), (11_200, 3_060), (11_400, 3_060), width=60)
    pen.leader("PUDDLE PIPE DN 300,\\PSEE DETAIL 1", (6_200, -2_838), (6_750, -1_900), (6_850, -1_900), width=45)
    pen.leader("BENCHING, C25/30", (760, -4_640), (3_000, -4_560), (3_050, -4_560), width=40)
    pen.leader("CABLE TRENCH 400 x 600", (22_350, -300), (21_700, -1_500), (21_500, -1_500), width=60)
    pen.leader("BLINDING 100, C12/15", (13_000, -4_550), (13_600, -5_150), (13_800, -5_150), width=60)
    pen.text("G-TEXT", (8_900, 900), "PUMP ROOM", height=3.75)
    pen.text("G-TEXT", (4_600, -900), "WET WELL", height=3.75)
    pen.text("G-TEXT", (21_500, 2_900), "SWITCH ROOM", height=3.75)
    pen.heading((8_200, -7_900), "SECTION A-A")
    pen.text("G-TEXT", (10_900, -7_900), "SCALE 1:50", height=3.5, align=TextEntityAlignment.LEFT)
    pen.line("G-SYMB", (8_200, -8_030), (12_900, -8_030))
