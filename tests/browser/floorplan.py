"""A drawing of a row of offices on five layers, in millimetres: long and narrow, so that it has few tiles."""

from pathlib import Path

from ezdxf.enums import TextEntityAlignment
from ezdxf.filemanagement import new

LAYERS = {"WALLS": 7, "DOORS": 30, "PIPES": 5, "FURNITURE": 3, "TEXT": 1}
ROOMS = 9
WIDTH, DEPTH = 6_000, 3_000  # of a room


def save_floorplan(path: Path) -> Path:
    """Write the drawing and return its path."""
    document = new(setup=True, units=4)
    for name, colour in LAYERS.items():
        document.layers.add(name, color=colour)
    model = document.modelspace()
    for room in range(ROOMS):
        x = room * WIDTH
        corners = [(x, 0), (x + WIDTH, 0), (x + WIDTH, DEPTH), (x, DEPTH)]
        model.add_lwpolyline(corners, close=True, dxfattribs={"layer": "WALLS", "const_width": 120})
        model.add_arc((x + 900, 0), 800, 0, 90, dxfattribs={"layer": "DOORS"})
        model.add_circle((x + WIDTH - 700, DEPTH - 900), 350, dxfattribs={"layer": "FURNITURE"})
        model.add_text(f"Room {room + 1}", height=250, dxfattribs={"layer": "TEXT"}).set_placement(
            (x + WIDTH / 2, DEPTH / 2), align=TextEntityAlignment.MIDDLE_CENTER
        )
    model.add_lwpolyline(
        [(300, 300), (300, DEPTH - 300), (ROOMS * WIDTH - 300, DEPTH - 300)],
        dxfattribs={"layer": "PIPES", "const_width": 40},
    )
    document.saveas(path)
    return path
