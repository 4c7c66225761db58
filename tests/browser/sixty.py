"""A drawing of sixty layers in adjacent squares: long and narrow, so that it has few tiles."""

from pathlib import Path

from ezdxf.enums import TextEntityAlignment
from ezdxf.filemanagement import new

LAYERS = [f"FIELD{number:02d}" for number in range(60)]
SIDE = 1_000  # side of a square, millimetres


def save_sixty(path: Path) -> Path:
    """Write the drawing and return its path."""
    document = new(units=4)
    model = document.modelspace()
    for number, name in enumerate(LAYERS):
        document.layers.add(name, color=1 + number % 6)
        x = number * SIDE
        corners = [(x, 0), (x + SIDE, 0), (x + SIDE, SIDE), (x, SIDE)]
        model.add_lwpolyline(corners, close=True, dxfattribs={"layer": name})
        model.add_text(name, height=120, dxfattribs={"layer": name}).set_placement(
            (x + SIDE / 2, SIDE / 2), align=TextEntityAlignment.MIDDLE_CENTER
        )
    document.saveas(path)
    return path
