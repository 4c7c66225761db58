"""A large realistic drawing: the floor plan of a plant with any number of entities.

    python -m benchmarks.support.plant_drawing 500000 plant.dxf

It has walls (lines), rooms and ducts (polylines), pumps and valves (blocks, some with an attribute), pipes with bends
(arcs), columns (circles) and labels (text) on twenty layers; R2010, ASCII. The same number gives the same bytes.
"""

import io
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from ezdxf._options import options
from ezdxf.document import Drawing
from ezdxf.filemanagement import new

LAYERS = (
    *("WALLS", "ROOMS", "COLUMNS", "DOORS", "PIPES-WATER", "PIPES-STEAM", "PIPES-AIR", "DUCTS", "PUMPS", "VALVES"),
    *("MOTORS", "CABLES", "TRAYS", "LIGHTS", "LABELS", "TAGS", "DIMENSIONS", "GRID", "FIRE", "SURVEY"),
)

# Side of a bay in millimetres, and bays per row.
BAY = 12_000
ROW = 40

BLOCKS = ("PUMP", "VALVE", "MOTOR", "LIGHT", "DOOR", "SPRINKLER")
BLOCK_LAYERS = {"PUMP": 8, "VALVE": 9, "MOTOR": 10, "LIGHT": 13, "DOOR": 3, "SPRINKLER": 18}

# Above all handles of tables and blocks.
FIRST_HANDLE = 0x100000


def write_plant(path: Path, entities: int) -> None:
    """Write a drawing with `entities` entities in its model space; blocks contain more."""
    head, tail, owner = _frame()
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(head)
        _Pen(file, owner, random.Random(entities)).draw(entities)
        file.write(tail)


def _frame() -> tuple[str, str, str]:
    """Text before and after the entities, and the handle of the model space."""
    dated, options.write_fixed_meta_data_for_testing = options.write_fixed_meta_data_for_testing, True
    try:
        document = new("R2010", setup=True)
        for number, name in enumerate(LAYERS):
            document.layers.add(name, color=1 + number % 7)
        for name in BLOCKS:
            _block(document, name)
        document.header["$HANDSEED"] = "7FFFFFFF"
        document.units = 4
        text = io.StringIO()
        document.write(text)
    finally:
        options.write_fixed_meta_data_for_testing = dated
    frame = text.getvalue()
    start = frame.index("ENTITIES\n") + len("ENTITIES\n")
    return frame[:start], frame[start:], document.modelspace().layout_key


def _block(document: Drawing, name: str) -> None:
    size = 100 + 20 * len(name)
    block = document.blocks.new(name)
    block.add_circle((0, 0), size)
    block.add_lwpolyline([(-size, -size), (size, -size), (size, size), (-size, size)], close=True)
    block.add_line((-size, 0), (size, 0))
    block.add_line((0, -size), (0, size))
    block.add_arc((0, 0), size * 1.4, 20, 160)
    block.add_solid([(0, 0), (size / 2, 0), (0, size / 2), (size / 2, size / 2)], {"color": 0})
    block.add_text(name[:2], height=size / 2, dxfattribs={"insert": (size, size)})


class _Pen:
    """Writes entities as text, bay by bay."""

    def __init__(self, file: TextIO, owner: str, chance: random.Random) -> None:
        self._file = file
        self._owner = owner
        self._chance = chance
        self._handle = FIRST_HANDLE

    def draw(self, count: int) -> None:
        bay = 0
        while count > 0:
            for entity in self._bay(bay % ROW * BAY, bay // ROW * BAY):
                self._file.write(entity)
                count -= 1
                if not count:
                    return
            bay += 1

    def _bay(self, x: int, y: int) -> Iterator[str]:
        chance = self._chance
        for side in range(4):
            dx, dy = ((BAY, 0), (0, BAY), (BAY, 0), (0, BAY))[side]
            ox, oy = ((0, 0), (0, 0), (0, BAY), (BAY, 0))[side]
            for offset in (0, 200):
                yield self._line("WALLS", x + ox + offset, y + oy + offset, x + ox + dx, y + oy + dy)
        yield self._circle("COLUMNS", x, y, 300)
        yield self._polyline("ROOMS", x + 600, y + 600)
        yield self._line("SURVEY", x - 150, y, x + 150, y)
        for number in range(chance.randint(14, 22)):
            left, low = x + chance.randint(300, BAY - 3000), y + chance.randint(300, BAY - 3000)
            layer = LAYERS[chance.randint(4, 7)]
            yield self._polyline(layer, left, low)
            yield self._line(LAYERS[11 + number % 2], left, low, left + chance.randint(200, 2500), low)
            yield self._line("GRID", left, low, left, low + chance.randint(200, 2500))
            yield self._arc(layer, left, low, chance.randint(80, 400))
            if number % 2:
                yield self._text(LAYERS[14 + number % 3], left, low, f"{layer[:2]}-{chance.randint(100, 9999)}")
            yield self._insert(BLOCKS[chance.randint(0, 5)], left, low, chance.randint(0, 359), tagged=number % 8 == 0)

    def _entity(self, kind: str, layer: str, *tags: object) -> str:
        self._handle += 1
        pairs = (0, kind, 5, f"{self._handle:X}", 330, self._owner, 100, "AcDbEntity", 8, layer, *tags)
        return "".join(f"{code:3}\n{value}\n" for code, value in zip(pairs[::2], pairs[1::2], strict=True))

    def _line(self, layer: str, x: int, y: int, x2: int, y2: int) -> str:
        return self._entity("LINE", layer, 100, "AcDbLine", 10, x, 20, y, 30, 0, 11, x2, 21, y2, 31, 0)

    def _circle(self, layer: str, x: int, y: int, radius: int) -> str:
        return self._entity("CIRCLE", layer, 100, "AcDbCircle", 10, x, 20, y, 30, 0, 40, radius)

    def _arc(self, layer: str, x: int, y: int, radius: int) -> str:
        centre = 100, "AcDbCircle", 10, x, 20, y, 30, 0, 40, radius
        return self._entity("ARC", layer, *centre, 100, "AcDbArc", 50, 0, 51, 90)

    def _polyline(self, layer: str, x: int, y: int) -> str:
        points: list[object] = []
        for number in range(6):
            x, y = (x + self._chance.randint(100, 900), y) if number % 2 else (x, y + self._chance.randint(100, 900))
            points += [10, x, 20, y]
        return self._entity("LWPOLYLINE", layer, 100, "AcDbPolyline", 90, 6, 70, 0, *points)

    def _text(self, layer: str, x: int, y: int, text: str) -> str:
        marked = 100, "AcDbText", 10, x, 20, y, 30, 0, 40, 180, 1, text
        return self._entity("TEXT", layer, *marked, 100, "AcDbText")

    def _insert(self, block: str, x: int, y: int, angle: int, *, tagged: bool) -> str:
        layer = LAYERS[BLOCK_LAYERS[block]]
        place = 2, block, 10, x, 20, y, 30, 0, 50, angle
        if not tagged:
            return self._entity("INSERT", layer, 100, "AcDbBlockReference", *place)
        insert = self._entity("INSERT", layer, 100, "AcDbBlockReference", 66, 1, *place)
        text = 100, "AcDbText", 10, x, 20, y - 300, 30, 0, 40, 120, 1, f"{block[0]}{self._chance.randint(1, 999)}"
        attribute = self._entity("ATTRIB", "TAGS", *text, 100, "AcDbAttribute", 280, 0, 2, "TAG", 70, 0)
        return insert + attribute + self._entity("SEQEND", layer)


if __name__ == "__main__":
    write_plant(Path(sys.argv[2]), int(sys.argv[1]))
