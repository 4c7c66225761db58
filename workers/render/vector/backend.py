"""An ezdxf backend that records into a display list."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from ezdxf.addons.drawing.backend import BackendInterface, BkPath2d, BkPoints2d, ImageData
from ezdxf.addons.drawing.config import Configuration
from ezdxf.addons.drawing.properties import BackendProperties, Properties, layer_key
from ezdxf.addons.drawing.type_hints import Color
from ezdxf.entities.dxfgfx import DXFGraphic
from ezdxf.math import Vec2

from workers.render.vector.display import DisplayList, Style
from workers.render.vector.paths import LINE, MOVE, Rows, polyline

# Line weights are millimetres on paper; the preview is paper at CSS's 96 pixels an inch.
PIXELS_PER_MM = 96 / 25.4

# A weight of 0 means the thinnest line of the device. Thinner lines than this fade because of antialiasing.
MIN_LINE_PIXELS = 0.7

# Beyond this, doubles have no fractions of a unit, and a stray point would shrink the drawing to nothing.
MAX_COORDINATE = 1e15

_SEGMENT = bytes([MOVE, LINE])
_START = bytes([MOVE])


class RecordingBackend(BackendInterface):
    """Records what the frontend draws.

    `layers` maps a layer's key to its index; layers missing from the layer table are added, and `unlisted_layers` has
    their names in order. `line_weight` is a percentage of the line widths. `invalid_coordinates` counts the shapes left
    out because a coordinate is not a finite number.
    """

    def __init__(self, layers: dict[str, int], line_weight: int = 100) -> None:
        self.display = DisplayList()
        self._pixels_per_mm = PIXELS_PER_MM * line_weight / 100
        self.unlisted_layers: list[str] = []
        self.invalid_coordinates = 0
        self._layers = layers
        self._layer_numbers: dict[str, int] = {}
        self._strokes: dict[tuple[str, float], Style] = {}
        self._fills: dict[str, Style] = {}

    @contextmanager
    def record_separately(self) -> Iterator[DisplayList]:
        """Record into a separate display list, which is closed at the end of the block."""
        outer, self.display = self.display, DisplayList()
        try:
            yield self.display
            self.display.close()
        finally:
            self.display = outer

    def draw_line(self, start: Vec2, end: Vec2, properties: BackendProperties) -> None:
        """Record a straight line."""
        if self._append_line(start, end):
            self._mark_stroke(properties)

    def draw_point(self, pos: Vec2, properties: BackendProperties) -> None:
        """Record a dot: a line of zero length with round caps."""
        if self._append_line(pos, pos):
            self._mark_stroke(properties)

    def draw_solid_lines(self, lines: Iterable[tuple[Vec2, Vec2]], properties: BackendProperties) -> None:
        """Record many lines of one style."""
        appended = [self._append_line(start, end) for start, end in lines]
        if any(appended):
            self._mark_stroke(properties)

    def draw_path(self, path: BkPath2d, properties: BackendProperties) -> None:
        """Record an outline."""
        if self._append_paths([path]):
            self._mark_stroke(properties)

    def draw_filled_paths(self, paths: Iterable[BkPath2d], properties: BackendProperties) -> None:
        """Record a filled area with holes."""
        if self._append_paths(paths):
            self._mark_fill(properties)

    def draw_filled_polygon(self, points: BkPoints2d, properties: BackendProperties) -> None:
        """Record a filled polygon."""
        vertices = points.np_vertices()
        if len(vertices) > 1 and self._check_finite(vertices):
            self._append_points(polyline(len(vertices)), vertices)
            self._mark_fill(properties)

    def draw_image(self, image_data: ImageData, properties: BackendProperties) -> None:
        """Never called: referenced images are not read (`ImagePolicy.MISSING`)."""

    def set_background(self, color: Color) -> None:
        """Nothing to do: layers are drawn on transparency."""

    def configure(self, config: Configuration) -> None:
        """Nothing to do: widths are resolved here."""

    def enter_entity(self, entity: DXFGraphic, properties: Properties) -> None:
        """Nothing to do."""

    def exit_entity(self, entity: DXFGraphic) -> None:
        """Nothing to do."""

    def clear(self) -> None:
        """Discard the recorded drawing."""
        self.display = DisplayList()

    def finalize(self) -> None:
        """Nothing to do."""

    def _append_line(self, start: Vec2, end: Vec2) -> bool:
        x0, y0, x1, y1 = start.x, start.y, end.x, end.y
        if (
            abs(x0) < MAX_COORDINATE
            and abs(y0) < MAX_COORDINATE
            and abs(x1) < MAX_COORDINATE
            and abs(y1) < MAX_COORDINATE
        ):
            x, y = self._ensure_origin(x0, y0)
            self.display.points.extend((x0 - x, y0 - y, x1 - x, y1 - y))
            self.display.commands.frombytes(_SEGMENT)
            return True
        self.invalid_coordinates += 1
        return False

    def _append_paths(self, paths: Iterable[BkPath2d]) -> bool:
        appended = False
        for path in paths:
            vertices = path.np_vertices()
            if len(path) and self._check_finite(vertices):
                self._append_points(
                    _START + path._commands.tobytes(), vertices
                )  # the public accessor returns a list of integers
                appended = True
        return appended

    def _check_finite(self, vertices: Rows) -> bool:
        if (np.abs(vertices) < MAX_COORDINATE).all():
            return True
        self.invalid_coordinates += 1
        return False

    def _ensure_origin(self, x: float, y: float) -> tuple[float, float]:
        if self.display.origin is None:
            self.display.origin = (x, y)
        return self.display.origin

    def _append_points(self, commands: bytes, vertices: Rows) -> None:
        origin = self._ensure_origin(float(vertices[0, 0]), float(vertices[0, 1]))
        self.display.commands.frombytes(commands)
        self.display.points.frombytes((vertices - origin).astype(np.float32).tobytes())

    def _mark_stroke(self, properties: BackendProperties) -> None:
        key = properties.color, properties.lineweight
        style = self._strokes.get(key)
        if style is None:
            width = max(properties.lineweight * self._pixels_per_mm, MIN_LINE_PIXELS)
            style = self._strokes[key] = _make_style(properties.color, width)
        self.display.mark(self._layer_number(properties.layer), style)

    def _mark_fill(self, properties: BackendProperties) -> None:
        style = self._fills.get(properties.color)
        if style is None:
            style = self._fills[properties.color] = _make_style(properties.color, 0.0)
        self.display.mark(self._layer_number(properties.layer), style)

    def _layer_number(self, name: str) -> int:
        number = self._layer_numbers.get(name)
        if number is None:
            key = layer_key(name)
            if key not in self._layers:
                self._layers[key] = len(self._layers)
                self.unlisted_layers.append(name)
            number = self._layer_numbers[name] = self._layers[key]
        return number


def _make_style(colour: str, width: float) -> Style:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    alpha = int(colour[7:9], 16) / 255 if len(colour) > 7 else 1.0
    return Style(red, green, blue, alpha, width)
