"""The plan: a wet well, three pumps in a dry well, a meter chamber and a switch room. Origin: south-west corner."""

from ezdxf.enums import TextEntityAlignment

from examples.pump_station.pen import Pen, Point, rectangle
from examples.pump_station.standards import SCALE

LENGTH, WIDTH = 24_000.0, 9_600.0
PUMP_AXES = (2_000.0, 4_500.0, 7_000.0)  # north of the origin
PUMP_X = 9_100.0
HEADER_X = 15_800.0
BRANCH = -900.0  # each discharge branch runs this far north of its pump
MAIN_Y = 7_300.0  # rising main
DN100, DN250, DN300, DN500, DN600 = 114.3, 273.0, 324.0, 508.0, 610.0  # outside diameters, EN 10220

COLUMNS = {"1": 200.0, "2": 6_200.0, "3": 12_300.0, "4": 18_550.0, "5": 23_800.0}
ROWS = {"A": 200.0, "B": 5_150.0, "C": 9_400.0}

WET_WELL = rectangle(400, 400, 6000, 9200)
PUMP_ROOM = rectangle(6400, 400, 18400, 9200)
METER_CHAMBER = rectangle(18700, 5300, 23600, 9200)
SWITCH_ROOM: list[Point] = [
    (18700, 400), (21500, 400), (21500, 0), (22500, 0), (22500, 400), (23600, 400), (23600, 5000), (18700, 5000),
]  # fmt: skip


def draw_plan(pen: Pen) -> None:
    """Draw the plan view."""
    _grid(pen)
    _structure(pen)
    _wet_well(pen)
    for number, axis in enumerate(PUMP_AXES, start=1):
        _pump_set(pen, number, axis)
    _rising_main(pen)
    _pump_room(pen)
    _switch_room(pen)
    _lettering(pen)
    _dimensions(pen)
    _parts(pen)


def _grid(pen: Pen) -> None:
    top, left = WIDTH + 2_050, -2_500.0
    for name, x in COLUMNS.items():
        pen.line("S-GRID", (x, -300), (x, top - 275))
        pen.put("GRID_BUBBLE", "S-GRID", (x, top), scale=SCALE, ID=name)
    for name, y in ROWS.items():
        pen.line("S-GRID", (left + 275, y), (LENGTH + 300, y))
        pen.put("GRID_BUBBLE", "S-GRID", (left, y), scale=SCALE, ID=name)


def _structure(pen: Pen) -> None:
    sleeves = [rectangle(6000, y - DN300 / 2, 6400, y + DN300 / 2) for y in PUMP_AXES]
    sleeves.append(rectangle(0, 7600 - DN600 / 2, 400, 7600 + DN600 / 2))
    sleeves += [
        rectangle(x0, MAIN_Y - DN500 / 2, x1, MAIN_Y + DN500 / 2) for x0, x1 in ((18400, 18700), (23600, 24000))
    ]
    outline = rectangle(0, 0, LENGTH, WIDTH)
    pen.hatch("A-WALL-PATT", [outline, WET_WELL, PUMP_ROOM, METER_CHAMBER, SWITCH_ROOM, *sleeves])
    pen.line("A-WALL", (22500, 0), (LENGTH, 0), (LENGTH, WIDTH), (0, WIDTH), (0, 0), (21500, 0))
    for room in (WET_WELL, PUMP_ROOM, METER_CHAMBER):
        pen.line("A-WALL", *room, close=True)
    pen.line("A-WALL", *SWITCH_ROOM[4:], *SWITCH_ROOM[:3])
    pen.line("A-WALL", *SWITCH_ROOM[3:5])
    pen.line("X-SETOUT", (0, 0), (LENGTH, WIDTH))
    pen.line("X-SETOUT", (0, WIDTH), (LENGTH, 0))
    for x, y in ((-1_000, -1_000), (LENGTH + 1_000, WIDTH + 800)):
        pen.circle("X-SURVEY", (x, y), 150)


def _wet_well(pen: Pen) -> None:
    baffle = rectangle(2200, 1200, 2400, 8400)
    pen.hatch("A-WALL-PATT", [baffle])
    pen.line("A-WALL", *baffle, close=True)
    pen.box("A-OPNG", 1000, 1000, 6000, 8600, linetype="HIDDEN")
    for x, y in ((400, 400), (400, 9200), (6000, 400), (6000, 9200)):
        pen.line("A-OPNG", (x, y), (1000 if x < 1000 else 5999, 1000 if y < 1000 else 8600), linetype="HIDDEN")
    pen.pipe("P-PIPE-SUCT", [(-1_500, 7600), (460, 7600)], DN600)
    pen.line("P-PIPE-SUCT", (-1_500, 7905), (-1_430, 7750), (-1_570, 7600), (-1_500, 7295))
    pen.box("P-VALV", 460, 7200, 580, 8000)
    pen.line("P-VALV", (460, 7200), (580, 8000))
    for tag, x, y, scale, angle in (
        ("MH-1", 1600, 2100, 1.0, 0),
        ("MH-2", 1600, 6000, 1.0, 0),
        ("MH-3", 2_950, 6_350, 0.8, 90),
    ):
        pen.put("MANHOLE", "C-SITE", (x, y), scale=scale, angle=angle, TAG=tag)


def _pump_set(pen: Pen, number: int, axis: float) -> None:
    pen.circle("P-PIPE-SUCT", (4600, axis), 300, linetype="HIDDEN")
    pen.circle("P-PIPE-SUCT", (4600, axis), DN300 / 2, linetype="HIDDEN")
    pen.pipe("P-PIPE-SUCT", [(4600, axis), (7300, axis)], DN300)
    for x in (5970, 6430):
        pen.box("P-PIPE-SUCT", x - 30, axis - 260, x + 30, axis + 260)
    pen.put("GATE_VALVE", "P-VALV", (7550, axis), TAG=f"V-{number}01", DN="300")
    pen.pipe("P-PIPE-SUCT", [(7800, axis), (8300, axis)], DN300)
    pen.put("REDUCER", "P-PIPE-SUCT", (8315, axis))
    pen.put("PUMP_PLAN", "M-PUMP", (PUMP_X, axis), TAG=f"P-10{number}", DUTY="180 l/s at 32 m")
    pen.put("MOTOR", "M-EQPM", (PUMP_X + 600, axis), TAG=f"M-10{number}", KW="90")

    branch = axis + BRANCH
    pen.pipe("P-PIPE-DISC", [(PUMP_X, axis - 200), (PUMP_X, branch), (11_650, branch)], DN250)
    pen.put("CHECK_VALVE", "P-VALV", (12_000, branch), TAG=f"V-{number}02", DN="250")
    pen.pipe("P-PIPE-DISC", [(12_350, branch), (13_150, branch)], DN250)
    pen.put("GATE_VALVE", "P-VALV", (13_400, branch), TAG=f"V-{number}03", DN="250")
    pen.pipe("P-PIPE-DISC", [(13_650, branch), (HEADER_X - DN500 / 2, branch)], DN250)
    pen.line("I-INST", (12_750, branch + DN250 / 2), (12_750, branch + 290))
    pen.put("INSTRUMENT", "I-INST", (12_750, branch + 565), scale=SCALE, FUNC="PT", LOOP=f"10{number}")
    pen.line("E-POWR", (PUMP_X + 1_095, axis + 370), (PUMP_X + 1_095, axis + 500), (17_300, axis + 500))


def _rising_main(pen: Pen) -> None:
    first = PUMP_AXES[0] + BRANCH
    pen.pipe("P-PIPE-DISC", [(HEADER_X, first - 450), (HEADER_X, MAIN_Y), (19_312, MAIN_Y)], DN500)
    pen.box("P-PIPE-DISC", HEADER_X - 350, first - 500, HEADER_X + 350, first - 450)
    size = DN500 / DN300
    pen.put("GATE_VALVE", "P-VALV", (19_704, MAIN_Y), scale=size, TAG="V-401", DN="500")
    pen.pipe("P-PIPE-DISC", [(20_096, MAIN_Y), (20_630, MAIN_Y)], DN500)
    pen.put("FLOW_METER", "I-INST", (21_100, MAIN_Y), scale=size, TAG="FE", DN="500")
    pen.pipe("P-PIPE-DISC", [(21_570, MAIN_Y), (22_104, MAIN_Y)], DN500)
    pen.put("GATE_VALVE", "P-VALV", (22_496, MAIN_Y), scale=size, TAG="V-402", DN="500")
    pen.pipe("P-PIPE-DISC", [(22_888, MAIN_Y), (24_900, MAIN_Y)], DN500)
    pen.line("P-PIPE-DISC", (24_900, 7554), (24_970, 7420), (24_830, 7300), (24_900, 7046))
    pen.line("I-INST", (21_100, MAIN_Y + 350), (21_100, 8125))
    pen.put("INSTRUMENT", "I-INST", (21_100, 8400), scale=SCALE, FUNC="FIT", LOOP="401")
    pen.pipe("P-PIPE-DISC", [(HEADER_X + DN500 / 2, 1_600), (16_700, 1_600), (16_700, 1_240)], DN100)
    pen.put("GATE_VALVE", "P-VALV", (16_700, 1_150), scale=DN100 / DN300, angle=90)
    pen.pipe("P-PIPE-DISC", [(16_700, 1_060), (16_700, 650)], DN100)
    pen.leader("DRAIN DN 100", (16_760, 850), (16_950, 1_000), (17_000, 1_000), width=40)


def _pump_room(pen: Pen) -> None:
    pen.box("C-DRAN", 6620, 700, 6820, 8250)
    pen.box("C-DRAN", 6600, 8250, 7500, 9050)
    pen.put("PUMP_PLAN", "M-PUMP", (7050, 8480), scale=0.25, angle=90)
    for x in (9_950, 10_150):
        pen.line("S-CRAN", (x, 450), (x, 9150))
    for step in range(21):
        pen.line("A-OPNG", (11_800 + step * 280, 8250), (11_800 + step * 280, 9200))
    pen.line("A-OPNG", (11_800, 8250), (18_400, 8250))
    pen.line("A-OPNG", (12_000, 8725), (17_400, 8725))
    pen.hatch("A-OPNG", [[(17_400, 8725), (17_150, 8790), (17_150, 8660)]], "SOLID")
    pen.text("A-OPNG", (17_900, 8725), "UP")


def _switch_room(pen: Pen) -> None:
    for section in range(5):
        pen.put("PANEL", "M-EQPM", (23_600 - 600, 4_600 - section * 800), angle=-90, TAG=f"{section + 1}")
    pen.box("E-POWR", 22_150, 500, 22_550, 4_900)
    pen.hatch("E-POWR", [rectangle(22_150, 500, 22_550, 4_900)], "ANSI37", scale=20)
    pen.put("DOOR", "A-OPNG", (21_500, 400))
    pen.box("M-EQPM", 19_000, 3_500, 20_600, 4_700)
    for x in (19_500, 20_100):
        pen.circle("M-EQPM", (x, 4_100), 380)
    for low, high, left, right in ((2_300, 2_600, 17_300, 22_150), (2_300, 7_500, 17_300, 17_600)):
        pen.box("E-POWR", left, low, right, high)


def _lettering(pen: Pen) -> None:
    room = "{{\\H1.25x;{}}}\\PEL. {}"
    for words, level, x, y in (
        ("WET WELL", "-4.800", 3_030, 4_500),
        ("PUMP ROOM", "-4.000", 14_500, 7_850),
        ("METER CHAMBER", "-3.200", 21_100, 5_850),
        ("SWITCH ROOM", "+0.150", 20_300, 1_350),
    ):
        pen.note("G-TEXT", (x, y), room.format(words, level), width=50, anchor=5)
    pen.text("M-EQPM", (19_800, 3_250), "TX-1  630 kVA", height=2.5)
    pen.text("E-POWR", (20_200, 2_760), "CABLE TRAY 300", height=2.5)
    pen.heading((8_200, -1_950), "PLAN")
    pen.text(
        "G-TEXT", (9_300, -1_950), "PUMP ROOM AT EL. -2.500, SWITCH ROOM AT EL. +1.200     SCALE 1:50", height=3.5,
        align=TextEntityAlignment.LEFT,
    )  # fmt: skip
    pen.line("G-SYMB", (8_200, -2_080), (19_300, -2_080))
    for end in (-900.0, LENGTH + 900):
        pen.put("SECTION_MARK", "G-SYMB", (end, 4_500), scale=SCALE * 0.8, ID="A")
        inward = 350.0 if end < 0 else -350.0
        pen.line("G-SYMB", (end + inward, 4_500), (end + inward * 2.4, 4_500))


def _dimensions(pen: Pen) -> None:
    pen.chain(list(COLUMNS.values()), WIDTH + 700, WIDTH + 100)
    pen.dimension((0, WIDTH + 100), (LENGTH, WIDTH + 100), (0, WIDTH + 1_250))
    pen.chain([0, 400, 6_000, 6_400, 18_400, 18_700, 23_600, LENGTH], -750, -100)
    pen.chain(list(ROWS.values()), LENGTH + 1_750, LENGTH + 100, vertical=True)
    pen.dimension((LENGTH + 100, 0), (LENGTH + 100, WIDTH), (LENGTH + 2_350, 0), 90)
    pen.chain([400, *PUMP_AXES, 9_200], 3_960, 4_200, vertical=True)
    corner = (HEADER_X + DN500 * 1.5, MAIN_Y - DN500 * 1.5)
    pen.space.add_radius_dim(
        center=pen.place(corner),
        radius=DN500 * 1.5,
        angle=135,
        dimstyle="STATION-50",
        override={"dimtsz": 0},
        dxfattribs={"layer": "G-DIMS"},
    ).render()


def _parts(pen: Pen) -> None:
    pen.balloon(1, (8_700, 7_900), (9_000, 7_250))
    pen.balloon(2, (10_900, 7_900), (10_500, 7_220))
    pen.balloon(3, (7_900, 7_900), (7_600, 7_150))
    pen.balloon(4, (11_500, 5_450), (11_900, 5_980))
    pen.balloon(5, (13_900, 5_450), (13_500, 6_000))
    pen.balloon(6, (19_704, 6_450), (19_704, 6_950))
    pen.balloon(7, (22_000, 6_450), (21_350, 7_000))
    pen.balloon(8, (5_400, 7_650), (5_970, 7_200))
    pen.balloon(9, (4_600, 8_000), (4_600, 7_250))
    pen.balloon(10, (950, 6_850), (520, 7_350))
    pen.balloon(11, (1_600, 3_050), (1_600, 2_400))
    pen.balloon(12, (21_700, 4_600), (23_100, 4_250))
    pen.balloon(13, (9_450, 8_800), (9_950, 8_800))
    pen.balloon(14, (8_100, 8_800), (7_200, 8_700))
    pen.leader("RISING MAIN DN 500 TO\\PTREATMENT WORKS", (24_500, 7_560), (24_700, 10_250), (24_900, 10_250), width=60)
    pen.leader("INLET SEWER DN 600\\PFROM SCREENS", (-900, 7_910), (-1_000, 8_600), (-1_150, 8_600), width=40)
