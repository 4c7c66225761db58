"""A drawing of sixty layers, each in a field of its own, side by side: long and narrow, so that its tiles are few."""

from pathlib import Path

from ezdxf.enums import TextEntityAlignment
from ezdxf.filemanagement import new

LAYERS = [f"FIELD{number:02d}" for number in range(60)]
SIDE = 1_000  # of a field, in millimetres


def save_sixty(path: Path) -> Path:
    """Write it and give back where."""
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
