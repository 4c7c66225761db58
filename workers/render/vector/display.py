"""The display list: all visible content of a drawing, in draw order, recorded once.

Takes 9 bytes a line point, up to 27 a curve, and 12 a mark; beyond `spill_buffer.MEMORY_BYTES` on disk.
"""

from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from workers.render.errors import BlueprintError
from workers.render.raster import Box
from workers.render.vector.paths import POINTS_OF, Commands, Points, Rows
from workers.render.vector.spill_buffer import SpillBuffer

# Consecutive strokes of one style are painted as one path of up to this many commands: long enough that the call
# overhead does not matter, short enough that cairo does not have to intersect hundreds of edges at once.
MAX_STROKE_COMMANDS = 128

# Points of a drawing with its blocks expanded. At this limit it takes a gigabyte on disk, and minutes to paint.
MAX_POINTS = 100_000_000

# Points of a chunk: 2 MB recorded, and up to 16 times that while it is painted.
CHUNK_POINTS = 1 << 17


class Style(NamedTuple):
    """How a mark is painted. Colours are 0 to 1, `width` is in pixels; a `width` of 0 fills by the even-odd rule."""

    red: float
    green: float
    blue: float
    alpha: float
    width: float


@dataclass(frozen=True)
class Extents:
    """A rectangle in drawing units, y upwards."""

    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True)
class View:
    """Maps drawing units to pixels. `left`, `top` is the top left corner in drawing units; `scale` is pixels a unit."""

    left: float
    top: float
    scale: float
    size: tuple[int, int]

    @property
    def extents(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top in drawing units."""
        width, height = self.size
        return self.left, self.top - height / self.scale, self.left + width / self.scale, self.top


@dataclass(frozen=True)
class Chunk:
    """Consecutive marks. `points` (n, 2) are relative to the list's origin; `ends` is the command after each mark."""

    commands: Commands
    points: Points
    layers: npt.NDArray[np.int32]
    styles: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]

    @cached_property
    def bounds(self) -> tuple[Points, Points]:
        """Lowest and highest coordinates of each mark."""
        starts = np.cumsum(POINTS_OF[self.commands])[self.ends - 1]
        starts = np.concatenate(([0], starts[:-1]))
        return np.minimum.reduceat(self.points, starts), np.maximum.reduceat(self.points, starts)

    def merge_strokes(self, is_stroke: npt.NDArray[np.bool_]) -> "Chunk":
        """Merge consecutive marks of one style if `is_stroke` is true for the style."""
        can_merge = (self.styles[1:] == self.styles[:-1]) & is_stroke[self.styles[1:]]
        can_merge &= self.ends[1:] // MAX_STROKE_COMMANDS == self.ends[:-1] // MAX_STROKE_COMMANDS
        is_last = np.append(~can_merge, True)
        return Chunk(self.commands, self.points, self.layers[is_last], self.styles[is_last], self.ends[is_last])

    def select(self, chosen: npt.NDArray[np.bool_]) -> "Chunk":
        """Return a chunk of the `chosen` marks."""
        if chosen.all():
            return self
        lengths = np.diff(self.ends, prepend=0)
        commands = np.repeat(chosen, lengths)
        points = np.repeat(commands, POINTS_OF[self.commands])
        ends = np.cumsum(lengths[chosen]).astype(np.int32)
        return Chunk(self.commands[commands], self.points[points], self.layers[chosen], self.styles[chosen], ends)


@dataclass(frozen=True)
class _ChunkSummary:
    """The bounds of each layer in a chunk, known without loading it."""

    number: int
    bounds: dict[int, tuple[Points, Points]]

    @property
    def low(self) -> Points:
        lowest: Points = np.array([low for low, _ in self.bounds.values()]).min(axis=0)
        return lowest

    @property
    def high(self) -> Points:
        highest: Points = np.array([high for _, high in self.bounds.values()]).max(axis=0)
        return highest


class DisplayList:
    """Append to `commands` and `points`, then call `mark` with their layer and style; `close` ends recording.

    Points are relative to `origin`, the first point, so 4-byte floats are precise enough even far from (0, 0).
    """

    def __init__(self) -> None:
        self.commands = array("B")
        self.points = array("f")
        self.origin: tuple[float, float] | None = None
        self.styles: list[Style] = []
        self._style_numbers: dict[Style, int] = {}
        self._mark_layers = array("i")
        self._mark_styles = array("i")
        self._mark_ends = array("i")
        self._summaries: list[_ChunkSummary] = []
        self._buffer = SpillBuffer()
        self._margins: dict[int, float] = {}
        self._total_points = 0

    def mark(self, layer: int, style: Style) -> None:
        """Assign the points appended since the last mark to `layer`, painted in `style`."""
        if len(self.points) >= 2 * CHUNK_POINTS:
            self._flush(self._mark_ends[-1] if self._mark_ends else 0)
        self._mark_layers.append(layer)
        self._mark_styles.append(self._style_number(style))
        self._mark_ends.append(len(self.commands))
        self._margins[layer] = max(self._margins.get(layer, 0.0), style.width / 2 + 1)

    def append_copy(self, chunk: Chunk, points: Rows, styles: list[Style]) -> None:
        """Append the marks of a chunk of another list, painted in that list's `styles`, at `points` (n, 2)."""
        if self.origin is None:
            self.origin = (float(points[0, 0]), float(points[0, 1]))
        if len(self.points) >= 2 * CHUNK_POINTS:
            self._flush(self._mark_ends[-1] if self._mark_ends else 0)
        start = len(self.commands)
        self.commands.frombytes(chunk.commands.tobytes())
        self.points.frombytes((points - self.origin).astype(np.float32).tobytes())
        numbers = [self._style_number(style) for style in styles]
        marked = [numbers[number] for number in chunk.styles.tolist()]
        layers = chunk.layers.tolist()
        self._mark_layers.extend(layers)
        self._mark_styles.extend(marked)
        self._mark_ends.extend((chunk.ends + start).tolist())
        for layer, number in set(zip(layers, marked, strict=True)):
            self._margins[layer] = max(self._margins.get(layer, 0.0), self.styles[number].width / 2 + 1)

    def close(self) -> None:
        """Flush the remaining marks and end recording."""
        self._flush(len(self.commands))

    @property
    def layers(self) -> set[int]:
        """Layers that have marks."""
        return {layer for summary in self._summaries for layer in summary.bounds}

    def extents(self) -> Extents | None:
        """Return the bounds of all points, control points of curves included; None if the list is empty."""
        if not self._summaries or self.origin is None:
            return None
        left, bottom = np.min([summary.low for summary in self._summaries], axis=0) + np.array(self.origin)
        right, top = np.max([summary.high for summary in self._summaries], axis=0) + np.array(self.origin)
        return Extents(float(left), float(bottom), float(right), float(top))

    def layer_boxes(self, view: View) -> dict[int, Box]:
        """Return the box of pixels that each layer's ink may touch, clipped to the view."""
        corners_by_layer: dict[int, list[Rows]] = {}
        for summary in self._summaries:
            for layer, corners in summary.bounds.items():
                pixel_corners = self.to_pixels(np.array(corners, np.float32), view)
                corners_by_layer.setdefault(layer, []).append(pixel_corners)
        boxes = {}
        for layer, pairs in corners_by_layer.items():
            all_corners = np.concatenate(pairs)
            margin = self._margins[layer]  # half the line width, and a pixel for antialiasing
            box = _pixel_box(all_corners.min(axis=0) - margin, all_corners.max(axis=0) + margin, view.size)
            if box:
                boxes[layer] = box
        return boxes

    def to_pixels(self, points: Points, view: View) -> Rows:
        """Convert points of the list to pixels of `view`, y downwards. Takes 16 bytes a point."""
        x, y = self.origin or (0.0, 0.0)
        scale = np.array((view.scale, -view.scale))
        placed: Rows = points * scale + np.array((x - view.left, y - view.top)) * scale
        return placed

    def chunks(self, view: View, box: Box, layers: Collection[int] | None = None) -> Iterator[Chunk]:
        """Yield the marks that touch `box`, of some layers or of all, in draw order, in chunks of bounded size."""
        margin = max(self._margins.values(), default=0.0) / view.scale
        x, y = self.origin or (0.0, 0.0)
        left, top = view.left - x + box[0] / view.scale, view.top - y - box[1] / view.scale
        right, bottom = left + box[2] / view.scale + margin, top - box[3] / view.scale - margin
        low, high = np.array((left - margin, bottom)), np.array((right, top + margin))
        # Merging translucent strokes would change their opacity where they overlap.
        is_stroke = np.array([style.width > 0 and style.alpha == 1 for style in self.styles], bool)
        for summary in self._summaries:
            layers_in_chunk = summary.bounds.keys() if layers is None else summary.bounds.keys() & layers
            if not any(_overlap(*summary.bounds[layer], low, high) for layer in layers_in_chunk):
                continue
            chunk = Chunk(*self._buffer.get(summary.number))
            if len(layers_in_chunk) < len(summary.bounds):
                chunk = chunk.select(np.isin(chunk.layers, list(layers_in_chunk)))
            # Merged before selecting, so that a tile looks the same however many tiles are painted at once.
            chunk = chunk.merge_strokes(is_stroke)
            if (summary.low < low).any() or (summary.high > high).any():
                lowest, highest = chunk.bounds
                chunk = chunk.select(np.logical_and((highest >= low).all(axis=1), (lowest <= high).all(axis=1)))
            if len(chunk.ends):
                yield chunk

    @property
    def all_chunks(self) -> Iterator[Chunk]:
        """Everything recorded, in draw order."""
        for summary in self._summaries:
            yield Chunk(*self._buffer.get(summary.number))

    def _style_number(self, style: Style) -> int:
        number = self._style_numbers.get(style)
        if number is None:
            number = self._style_numbers[style] = len(self.styles)
            self.styles.append(style)
        return number

    def _flush(self, count: int) -> None:
        """Move the first `count` commands, which are those with marks, into the spill buffer as a chunk."""
        if not self._mark_ends:
            return
        commands = np.array(self.commands[:count], np.uint8)
        numbers = 2 * int(POINTS_OF[commands].sum())
        chunk = Chunk(
            commands,
            np.array(self.points[:numbers], np.float32).reshape(-1, 2),
            *(np.array(field, np.int32) for field in (self._mark_layers, self._mark_styles, self._mark_ends)),
        )
        low, high = chunk.bounds
        corners = {}
        for layer in sorted(set(self._mark_layers)):
            is_layer = chunk.layers == layer
            corners[layer] = low[is_layer].min(axis=0), high[is_layer].max(axis=0)
        number = self._buffer.append(chunk.commands, chunk.points, chunk.layers, chunk.styles, chunk.ends)
        self._summaries.append(_ChunkSummary(number, corners))
        self._total_points += numbers // 2
        if self._total_points > MAX_POINTS:
            raise BlueprintError(
                "too-large", f"The drawing has more than {MAX_POINTS:,} points with its blocks expanded. Split it."
            )
        del self.commands[:count], self.points[:numbers]
        for field in (self._mark_layers, self._mark_styles, self._mark_ends):
            del field[:]


def _overlap(low: Points, high: Points, others_low: Rows, others_high: Rows) -> bool:
    return bool((high >= others_low).all() and (low <= others_high).all())


def _pixel_box(low: Rows, high: Rows, size: tuple[int, int]) -> Box | None:
    left, top = (int(value) for value in np.maximum(np.floor(low), 0))
    right, bottom = (int(value) for value in np.minimum(np.ceil(high), size))
    return (left, top, right - left, bottom - top) if left < right and top < bottom else None
