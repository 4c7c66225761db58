"""The display list: everything a drawing shows, in draw order, recorded once.

Memory is 32 bytes a line point and 64 a curve, in one array, and about 24 bytes a mark.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from workers.blueprint.piece import Box
from workers.blueprint.vector.paths import Rows

# Strokes of one style are joined into one path up to this many rows: long enough that calls do not matter, short
# enough that cairo does not keep hundreds of crossing edges in its head at once.
MAX_STROKE_ROWS = 256

# Rows that one array operation works on: 16 MB, and as much again for its result.
PART_ROWS = 1 << 20


class Style(NamedTuple):
    """How a mark is painted: colour 0 to 1, `width` in pixels; a `width` of 0 fills by the even-odd rule."""

    red: float
    green: float
    blue: float
    alpha: float
    width: float


class Mark(NamedTuple):
    """One painting: rows `start` to `end` in `style`, on a layer."""

    layer: int
    style: Style
    start: int
    end: int


@dataclass(frozen=True)
class Extents:
    """A rectangle in drawing units, y upwards."""

    left: float
    bottom: float
    right: float
    top: float


class DisplayList:
    """Append rows to `data`, then call `mark` to say whose they are. `place` ends recording."""

    def __init__(self) -> None:
        self.data = array("d")
        self._layers = array("i")
        self._styles = array("i")
        self._ends = array("q")
        self._index: dict[Style, int] = {}

    def __len__(self) -> int:
        return len(self._ends)

    def mark(self, layer: int, style: Style) -> None:
        """Give what was appended since the last mark to `layer`, painted in `style`."""
        number = self._index.setdefault(style, len(self._index))
        end = len(self.data) // 2
        if self._ends and style.width and self._layers[-1] == layer and self._styles[-1] == number:
            start = self._ends[-2] if len(self._ends) > 1 else 0
            if end - start <= MAX_STROKE_ROWS:
                self._ends[-1] = end
                return
        self._layers.append(layer)
        self._styles.append(number)
        self._ends.append(end)

    def rows(self) -> Rows:
        """The recorded rows (n, 2) as a view: nothing can be appended while it lives."""
        return np.frombuffer(self.data, np.float64).reshape(-1, 2)

    def extents(self) -> Extents | None:
        """What the points cover, control points of curves included; None where there are none."""
        if not len(self):
            return None
        lows, highs = [], []
        for part in self._parts():
            points = part.rows[part.points]
            lows.append(points.min(axis=0))
            highs.append(points.max(axis=0))
        (left, bottom), (right, top) = np.min(lows, axis=0), np.max(highs, axis=0)
        return Extents(float(left), float(bottom), float(right), float(top))

    def place(self, left: float, top: float, scale: float) -> None:
        """Turn drawing units into pixels in place: `left`, `top` becomes the origin and y points down."""
        for part in self._parts():
            part.rows[part.points] = (part.rows[part.points] - (left, top)) * (scale, -scale)

    def boxes(self, width: int, height: int) -> dict[int, Box]:
        """Pixels that each layer's ink may touch, cut to a picture of `width` by `height`. Call after `place`."""
        # Half the line, and a pixel for its soft edge.
        reach = np.array([style.width / 2 + 1 for style in self._index])
        found: dict[int, list[Rows]] = {}
        for part in self._parts():
            points = part.rows[part.points]
            starts = np.concatenate(([0], np.cumsum(part.points)[part.ends - 1][:-1]))
            low = np.minimum.reduceat(points, starts) - reach[part.styles, np.newaxis]
            high = np.maximum.reduceat(points, starts) + reach[part.styles, np.newaxis]
            for layer in np.unique(part.layers):
                own = part.layers == layer
                found.setdefault(int(layer), []).append(np.array([low[own].min(axis=0), high[own].max(axis=0)]))
        return {layer: box for layer, pairs in found.items() if (box := _box(np.array(pairs), width, height))}

    def marks(self, layer: int | None = None) -> Iterator[Mark]:
        """Marks in draw order, of one layer or of all."""
        styles = list(self._index)
        numbers: Sequence[int]
        if layer is None:
            numbers = range(len(self._ends))
        else:
            numbers = np.flatnonzero(np.frombuffer(self._layers, np.int32) == layer).tolist()
        for number in numbers:
            start = self._ends[number - 1] if number else 0
            yield Mark(self._layers[number], styles[self._styles[number]], start, self._ends[number])

    def _parts(self) -> Iterator["_Part"]:
        """Runs of whole marks, each of about `PART_ROWS` rows, so that array operations stay small."""
        rows = self.rows()
        ends, layers, styles = (
            np.frombuffer(field, field.typecode) for field in (self._ends, self._layers, self._styles)
        )
        first, start = 0, 0
        while first < len(ends):
            last = max(first + 1, int(np.searchsorted(ends, start + PART_ROWS, "right")))
            end = int(ends[last - 1])
            part = rows[start:end]
            yield _Part(part, ~np.isnan(part[:, 1]), ends[first:last] - start, layers[first:last], styles[first:last])
            first, start = last, end


@dataclass(frozen=True)
class _Part:
    """Some marks in a row: their rows, which of those are points, and where each mark ends, counted from the first."""

    rows: Rows
    points: npt.NDArray[np.bool_]
    ends: npt.NDArray[np.int64]
    layers: npt.NDArray[np.int32]
    styles: npt.NDArray[np.int32]


def _box(pairs: Rows, width: int, height: int) -> Box | None:
    left, top = (int(value) for value in np.maximum(np.floor(pairs[:, 0].min(axis=0)), 0))
    right, bottom = (int(value) for value in np.minimum(np.ceil(pairs[:, 1].max(axis=0)), (width, height)))
    return (left, top, right - left, bottom - top) if left < right and top < bottom else None
