"""Blocks: equipment in model millimetres (valves at DN 300, scaled to other sizes), symbols in printed millimetres.

Everything in a block lies on layer 0 in colour BYBLOCK, so that it takes layer and colour from where it is inserted.
Symbols drawn in printed millimetres are inserted at SCALE.
"""

from dataclasses import dataclass
from math import cos, radians, sin

from ezdxf.document import Drawing
from ezdxf.enums import TextEntityAlignment
from ezdxf.layouts.blocklayout import BlockLayout

from examples.pump_station.pen import Point, rectangle
from examples.pump_station.standards import HEADING, LETTERING

CENTRED = TextEntityAlignment.MIDDLE_CENTER
OUTLINE = {"layer": "0", "color": 0, "linetype": "Continuous"}  # colour 0 is BYBLOCK


@dataclass(frozen=True, slots=True)
class Block:
    """Draws into one block definition."""

    space: BlockLayout

    def line(self, *points: Point, close: bool = False) -> None:
        """A polyline."""
        self.space.add_lwpolyline(points, close=close, dxfattribs=OUTLINE)

    def box(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """A rectangle from two opposite corners."""
        self.line(*rectangle(x0, y0, x1, y1), close=True)

    def circle(self, radius: float, centre: Point = (0, 0)) -> None:
        """A circle."""
        self.space.add_circle(centre, radius, dxfattribs=OUTLINE)

    def fill(self, *points: Point) -> None:
        """A solid area."""
        hatch = self.space.add_hatch(dxfattribs={"layer": "0"})
        hatch.set_solid_fill(color=0)
        hatch.paths.add_polyline_path(points, is_closed=True)

    def text(
        self, words: str, at: Point, height: float, *, align: TextEntityAlignment = TextEntityAlignment.LEFT
    ) -> None:
        """Fixed bold text."""
        attributes = {"layer": "0", "color": 0, "style": HEADING}
        self.space.add_text(words, height=height, dxfattribs=attributes).set_placement(at, align=align)

    def attribute(
        self,
        tag: str,
        at: Point,
        height: float,
        default: str = "",
        *,
        style: str = LETTERING,
        hidden: bool = False,
        align: TextEntityAlignment = CENTRED,
    ) -> None:
        """An attribute that every insertion fills in. A hidden one is data for lists and is not drawn."""
        attributes = {"layer": "0", "color": 0, "style": style}
        definition = self.space.add_attdef(tag, text=default, height=height, dxfattribs=attributes)
        definition.set_placement(at, align=align)
        definition.is_invisible = hidden


def add_symbols(doc: Drawing) -> None:
    """Define every block that the views insert."""
    makers = (
        _pump_plan, _pump_side, _motor, _gate_valve, _check_valve, _flow_meter, _reducer, _manhole, _panel,
        _door, _instrument, _grid_bubble, _balloon, _level, _section_mark, _north,
    )  # fmt: skip
    for maker in makers:
        maker(Block(doc.blocks.new(maker.__name__.strip("_").upper())))


def _flange(block: Block, x: float, half: float, thickness: float) -> None:
    block.box(x - thickness / 2, -half, x + thickness / 2, half)


def _pump_plan(block: Block) -> None:
    """Horizontal end-suction pump from above: suction left, shaft right, discharge nozzle upward in the middle."""
    block.box(-350, -380, 1880, 380)
    block.box(-320, -330, 1850, 330)
    _flange(block, -435, 190, 30)
    block.line((-420, -125), (-200, -160), (-200, 160), (-420, 125), close=True)
    block.line(
        (-200, -270),
        (-140, -330),
        (120, -330),
        (170, -270),
        (170, 270),
        (120, 330),
        (-140, 330),
        (-200, 270),
        close=True,
    )
    for radius in (200, 137, 105):
        block.circle(radius)
    for step in range(8):
        angle = radians(22.5 + 45 * step)
        block.circle(14, (168 * cos(angle), 168 * sin(angle)))
    block.line((170, -130), (300, -110), (430, -110), (430, 110), (300, 110), (170, 130))
    block.box(430, -150, 600, 150)
    block.line((430, 0), (600, 0))
    for x in (-270, 1800):
        for y in (-290, 290):
            block.circle(22, (x, y))
    block.attribute("TAG", (2_180, 0), 150)
    block.attribute("DUTY", (0, -700), 100, hidden=True)


def _pump_side(block: Block) -> None:
    """The same pump from the side; the origin is the shaft."""
    for radius in (360, 325, 90):
        block.circle(radius)
    _flange(block, -435, 190, 30)
    block.line((-420, -125), (-330, -145))
    block.line((-420, 125), (-330, 145))
    block.line((-137, 335), (-115, 620))
    block.line((137, 335), (115, 620))
    block.box(-200, 620, 200, 650)
    block.line((355, -130), (520, -100), (560, -100), (560, 100), (520, 100), (355, 130))
    block.box(430, -160, 600, 160)
    block.line((-180, -310), (-220, -450), (220, -450), (180, -310))
    block.box(-350, -550, 1880, -450)
    block.line((-350, -500), (1880, -500))
    block.attribute("TAG", (700, 500), 150)
    block.attribute("DUTY", (0, -700), 100, hidden=True)


def _motor(block: Block) -> None:
    """Totally enclosed motor, shaft to the left at the origin."""
    block.line((0, -40), (90, -40), (90, 40), (0, 40))
    block.line((90, -180), (150, -260), (850, -260), (850, 260), (150, 260), (90, 180), close=True)
    for step in range(-4, 5):
        block.line((190, step * 52), (820, step * 52))
    block.line((850, -240), (1080, -240), (1120, -200), (1120, 200), (1080, 240), (850, 240))
    block.box(350, 260, 640, 370)
    for x in (230, 680):
        block.box(x, -320, x + 110, -260)
    block.attribute("TAG", (0, 0), 100, hidden=True)
    block.attribute("KW", (0, -120), 100, hidden=True)


def _gate_valve(block: Block) -> None:
    """Flanged gate valve DN 300, 500 face to face (EN 558 series 15), handwheel above."""
    for x in (-235, 235):
        _flange(block, x, 222, 30)
    block.line((-220, -162), (0, 0), (-220, 162), close=True)
    block.line((220, -162), (0, 0), (220, 162), close=True)
    block.circle(150)
    block.circle(30)
    for step in range(3):
        angle = radians(90 + 120 * step)
        block.line((30 * cos(angle), 30 * sin(angle)), (150 * cos(angle), 150 * sin(angle)))
    block.attribute("TAG", (0, 320), 125)
    block.attribute("DN", (0, -320), 100, hidden=True)


def _check_valve(block: Block) -> None:
    """Swing check valve DN 300, 700 face to face, flow to the right, lever and weight outside."""
    for x in (-335, 335):
        _flange(block, x, 222, 30)
    block.line((-320, -162), (-200, -190), (200, -190), (320, -162))
    block.line((-320, 162), (-200, 190), (200, 190), (320, 162))
    block.line((-170, 175), (140, -175))
    block.fill((-170, -40), (-170, 40), (20, 0))
    block.line((-100, 190), (-100, 235), (210, 235))
    block.box(210, 200, 290, 270)
    block.attribute("TAG", (0, 380), 125)
    block.attribute("DN", (0, -320), 100, hidden=True)


def _flow_meter(block: Block) -> None:
    """Electromagnetic flow meter DN 300, 600 face to face, converter on top."""
    for x in (-285, 285):
        _flange(block, x, 222, 30)
    block.line((-270, -162), (-180, -162), (-180, -205), (180, -205), (180, -162), (270, -162))
    block.line((-270, 162), (-180, 162), (-180, 205), (180, 205), (180, 162), (270, 162))
    block.box(-110, -110, 110, 110)
    block.circle(85)
    block.attribute("TAG", (0, 0), 90, "M")
    block.attribute("DN", (0, -320), 100, hidden=True)


def _reducer(block: Block) -> None:
    """Eccentric reducer DN 300 x 250, 350 long, flow to the right, flat on top."""
    block.line((0, -162), (0, 162), (350, 125), (350, -125), close=True)
    for x, half in ((0, 222), (350, 190)):
        block.box(x - 15, -half, x + 15, half)


def _manhole(block: Block) -> None:
    """Access cover 700 x 700 with a chequered plate of 600."""
    block.box(-350, -350, 350, 350)
    block.circle(300)
    for step in range(-3, 4):
        reach = (300**2 - (step * 75) ** 2) ** 0.5
        block.line((-reach, step * 75), (reach, step * 75))
        block.line((step * 75, -reach), (step * 75, reach))
    block.attribute("TAG", (0, -470), 125)


def _panel(block: Block) -> None:
    """One section of switchgear, 800 wide and 600 deep, door to the front."""
    block.box(0, 0, 800, 600)
    block.line((0, 0), (800, 600))
    block.line((40, -40), (760, -40))
    block.attribute("TAG", (560, 160), 110)


def _door(block: Block) -> None:
    """One leaf of 1,000 and its swing; hinge at the origin, opening upward."""
    block.box(0, 0, 45, 1000)
    block.space.add_arc((0, 0), 1000, 0, 90, dxfattribs=OUTLINE)


def _instrument(block: Block) -> None:
    """Field instrument, ISA-5.1: a circle of 11, function above loop number."""
    block.circle(5.5)
    block.line((-5.5, 0), (5.5, 0))
    block.attribute("FUNC", (0, 2.3), 2.6)
    block.attribute("LOOP", (0, -2.3), 2.6)


def _grid_bubble(block: Block) -> None:
    block.circle(5.5)
    block.attribute("ID", (0, 0), 5, style=HEADING)


def _balloon(block: Block) -> None:
    block.circle(4)
    block.attribute("NO", (0, 0), 3.2)


def _level(block: Block) -> None:
    """Level mark: a half-filled triangle on a line, the level in metres above it."""
    block.line((0, 0), (-2.2, 3.4), (2.2, 3.4), close=True)
    block.fill((0, 0), (0, 3.4), (-2.2, 3.4))
    block.line((-2.2, 3.4), (17, 3.4))
    block.line((-4, 0), (4, 0))
    block.attribute("LEVEL", (3.4, 4.2), 3, align=TextEntityAlignment.LEFT)


def _section_mark(block: Block) -> None:
    """End of a section line, looking up."""
    block.fill((-5.5, 0), (5.5, 0), (0, 8))
    block.circle(5.5)
    block.attribute("ID", (0, -9.5), 5, style=HEADING)


def _north(block: Block) -> None:
    block.circle(12)
    block.fill((0, 16), (0, -6), (-6, -11))
    block.line((0, 16), (6, -11), (0, -6), close=True)
    block.text("N", (0, 21), 6, align=CENTRED)
