"""The sheet: frame, title block, revisions, parts list, legend, notes. All in printed millimetres on A1."""

from collections.abc import Sequence

from ezdxf.document import Drawing
from ezdxf.enums import TextEntityAlignment

from examples.pump_station.pen import Pen
from examples.pump_station.standards import HEADING, LETTERING, SCALE, SHEET, TEXT
from examples.pump_station.symbols import Block

LEFT = TextEntityAlignment.MIDDLE_LEFT
COLUMN, EDGE = 651.0, 831.0  # the right-hand column of tables

PARTS = (
    ("1", "End-suction pump 180 l/s, 32 m", "3", "EN-GJL-250"),
    ("2", "Motor 90 kW, 4-pole, IE3", "3", "IP55"),
    ("3", "Gate valve DN 300 PN 10", "3", "EN-GJS-500"),
    ("4", "Swing check valve DN 250 PN 10", "3", "EN-GJS-500"),
    ("5", "Gate valve DN 250 PN 10", "3", "EN-GJS-500"),
    ("6", "Gate valve DN 500 PN 10", "2", "EN-GJS-500"),
    ("7", "Magnetic flow meter DN 500", "1", "Lined steel"),
    ("8", "Puddle pipe DN 300, l = 600", "3", "1.4404"),
    ("9", "Bellmouth DN 300 x 600", "3", "1.4404"),
    ("10", "Penstock 800 x 850", "1", "1.4404"),
    ("11", "Access cover 700 x 700, D400", "3", "EN-GJS-500"),
    ("12", "Motor control centre, 5 panels", "1", "IP54"),
    ("13", "Monorail hoist, SWL 2 t", "1", "S355"),
    ("14", "Sump pump 5 l/s, 8 m", "1", "EN-GJL-250"),
)
REVISIONS = (
    ("C", "Meter chamber moved inside", "2024-05-17", "LB"),
    ("B", "Third pump added", "2024-03-02", "LB"),
    ("A", "First issue for comment", "2024-01-22", "HS"),
)
NOTES = (
    "All dimensions are in millimetres, levels in metres above site datum.",
    "Read with drawings M-2002 (details), E-3001 (power) and C-1001 (site).",
    "Concrete C35/45, exposure XA2. Reinforcement on drawing S-1201.",
    "Pipework flanged PN 10 to EN 1092-1. Test at 1.5 x working pressure.",
    "Two pumps on duty, one on standby. Duty point 360 l/s at 32 m.",
    "Slope floor of pump room 1:100 to the drainage channel.",
    "Lifting beam to be proof loaded to 2.5 t before use.",
    "Do not scale. Check levels on site before pipework is ordered.",
)
LEGEND = (
    ("P-PIPE-SUCT", "Suction pipework"),
    ("P-PIPE-DISC", "Discharge pipework"),
    ("P-PIPE-CNTR", "Centreline"),
    ("E-POWR", "Cable tray, conduit"),
    ("C-DRAN", "Floor drainage"),
    ("P-WATR", "Water level"),
    ("S-CRAN", "Monorail over"),
)
DESIGN = (
    ("Peak inflow", "340 l/s"),
    ("Static head", "24.5 m"),
    ("Rising main, length", "1 860 m"),
    ("Velocity at duty point", "1.8 m/s"),
    ("Starts an hour, at most", "10"),
    ("Storage, start to stop", "52 m3"),
)


def draw_sheet(pen: Pen) -> None:
    """Frame and tables; `pen` draws in printed millimetres."""
    _frame(pen)
    _notes(pen)
    _legend(pen)
    _table(
        pen, 128, ("ITEM", "DESCRIPTION", "QTY", "MATERIAL"), (16, 104, 18, 42), PARTS, title="PARTS LIST", height=7.5
    )  # fmt: skip
    _table(pen, 95, ("REV", "DESCRIPTION", "DATE", "BY"), (16, 104, 38, 22), REVISIONS, title="", height=7)
    _title_block(pen.doc)
    pen.put(
        "TITLE_BLOCK",
        "G-TTLB",
        (COLUMN, 10),
        scale=SCALE,
        CLIENT="NORTHMERE WATER",
        PROJECT="MILL LANE PUMPING STATION",
        TITLE="GENERAL ARRANGEMENT",
        SUBTITLE="PLAN AND SECTION A-A",
        NUMBER="PS04-M-2001",
        REVISION="C",
        SCALE="1:50 (A1)",
        DATE="2024-05-17",
        DRAWN="L. BERG",
        CHECKED="H. STROM",
        APPROVED="A. VIK",
        SHEET="1 OF 4",
    )


def _frame(pen: Pen) -> None:
    width, height = SHEET
    pen.box("G-TTLB", 0, 0, width, height, linetype="Continuous")
    pen.box("G-TTLB", 20, 10, width - 10, height - 10)
    pen.line("G-TTLB", (COLUMN, 10), (COLUMN, height - 10))
    columns, rows = 16, 12  # zones of about 50 mm, ISO 5457
    for i in range(columns):
        a, b = (20 + (width - 30) * k / columns for k in (i, i + 1))
        for y0, y1 in ((5, 10), (height - 10, height - 5)):
            pen.line("G-TABL", (b, y0), (b, y1))
            pen.text("G-TABL", ((a + b) / 2, (y0 + y1) / 2), str(i + 1), height=2.5)
    for i in range(rows):
        a, b = (height - 10 - (height - 20) * k / rows for k in (i, i + 1))
        for x0, x1 in ((15, 20), (width - 10, width - 5)):
            pen.line("G-TABL", (x0, b), (x1, b))
            pen.text("G-TABL", ((x0 + x1) / 2, (a + b) / 2), "ABCDEFGHJKLM"[i], height=2.5)


def _notes(pen: Pen) -> None:
    pen.heading((COLUMN + 6, 573), "NOTES")
    body = "\\P".join(f"{number}.  {note}" for number, note in enumerate(NOTES, start=1))
    pen.note("G-TEXT", (COLUMN + 6, 567), body, width=168, height=3.8)
    pen.heading((COLUMN + 6, 502), "DESIGN DATA")
    for row, (words, value) in enumerate(DESIGN):
        y = 494 - row * 7.0
        pen.text("G-TEXT", (COLUMN + 6, y), words, height=3.4, align=LEFT)
        pen.text("G-TEXT", (COLUMN + 112, y), value, height=3.4, align=TextEntityAlignment.MIDDLE_RIGHT)
    pen.put("NORTH", "G-SYMB", (COLUMN + 150, 470), scale=SCALE)
    pen.text("G-TEXT", (COLUMN + 150, 453), "SITE NORTH", height=3)
    pen.line("G-TABL", (COLUMN, 445), (EDGE, 445))


def _legend(pen: Pen) -> None:
    pen.heading((COLUMN + 6, 433), "LEGEND")
    for row, (layer, words) in enumerate(LEGEND):
        y = 422 - row * 8.0
        pen.line(layer, (COLUMN + 6, y), (COLUMN + 36, y))
        pen.text("G-TEXT", (COLUMN + 41, y), words, height=3, align=LEFT)
    symbols = (
        ("GATE_VALVE", "P-VALV", "Gate valve", 0.018), ("CHECK_VALVE", "P-VALV", "Check valve", 0.015),
        ("FLOW_METER", "I-INST", "Flow meter", 0.018), ("MANHOLE", "C-SITE", "Access cover", 0.012),
    )  # fmt: skip
    for row, (block, layer, words, size) in enumerate(symbols):
        y = 420 - row * 14.0
        pen.put(block, layer, (COLUMN + 103, y), scale=size * SCALE)
        pen.text("G-TEXT", (COLUMN + 115, y), words, height=3, align=LEFT)
    for row, (pattern, scale, words) in enumerate(
        (("ANSI31", 25.0, "Concrete"), ("ANSI37", 30.0, "Masonry"), ("EARTH", 25.0, "Soil"))
    ):
        x = COLUMN + 6 + row * 58
        corners = [(x, 346.0), (x + 20, 346.0), (x + 20, 356.0), (x, 356.0)]
        pen.hatch("A-WALL-PATT", [corners], pattern, scale=scale)
        pen.line("G-TABL", *corners, close=True)
        pen.text("G-TEXT", (x + 24, 351), words, height=3, align=LEFT)
    pen.line("G-TABL", (COLUMN, 337), (EDGE, 337))


def _table(
    pen: Pen,
    foot: float,
    head: Sequence[str],
    widths: Sequence[float],
    rows: Sequence[Sequence[str]],
    *,
    title: str,
    height: float,
) -> None:
    """A ruled table with its bottom edge at `foot`; it grows upward like a parts list."""
    top = foot + height * (len(rows) + 1)
    pen.box("G-TABL", COLUMN, foot, EDGE, top)
    x = COLUMN
    for width, words in zip(widths, head, strict=True):
        pen.text("G-TABL", (x + 2.5, top - height / 2), words, height=2.6, align=LEFT, style=HEADING)
        x += width
        if x < EDGE:
            pen.line("G-TABL", (x, foot), (x, top))
    for number, row in enumerate(rows, start=1):
        y = top - height * number
        pen.line("G-TABL", (COLUMN, y), (EDGE, y))
        x = COLUMN
        for width, words in zip(widths, row, strict=True):
            pen.text("G-TABL", (x + 2.5, y - height / 2), words, height=TEXT, align=LEFT)
            x += width
    if title:
        pen.heading((COLUMN + 6, top + 4), title)


def _title_block(doc: Drawing) -> None:
    """180 x 80, ISO 7200 fields; a block in printed millimetres with an attribute for every field."""
    block = Block(doc.blocks.new("TITLE_BLOCK"))
    block.box(0, 0, 180, 80)
    for y in (14, 28, 58):
        block.line((0, y), (180, y))
    for x, foot in ((36, 14), (72, 14), (108, 0), (144, 0)):
        block.line((x, foot), (x, 28))
    cells = (
        ("DRAWN", 0, 14), ("CHECKED", 36, 14), ("APPROVED", 72, 14), ("DATE", 108, 14), ("SCALE", 144, 14),
        ("NUMBER", 0, 0), ("SHEET", 108, 0), ("REVISION", 144, 0),
    )  # fmt: skip
    for tag, x, y in cells:
        label = "DRAWING NUMBER" if tag == "NUMBER" else tag
        block.text(label, (x + 2, y + 10.8), 2.0)
        height, style = (5.0, HEADING) if tag in {"NUMBER", "REVISION"} else (3.6, LETTERING)
        block.attribute(tag, (x + 2, y + 2.8), height, style=style, align=TextEntityAlignment.LEFT)
    block.attribute("CLIENT", (6, 69), 7, style=HEADING, align=TextEntityAlignment.LEFT)
    block.attribute("PROJECT", (6, 61), 4.5, align=TextEntityAlignment.LEFT)
    block.attribute("TITLE", (6, 45), 7, style=HEADING, align=TextEntityAlignment.LEFT)
    block.attribute("SUBTITLE", (6, 34), 5, align=TextEntityAlignment.LEFT)
    block.text("EXAMPLE - NOT FOR CONSTRUCTION", (178, 30), 2.0, align=TextEntityAlignment.RIGHT)
