"""Paths in cairo's own memory layout, so that a whole drawing is handed over without a loop.

An element of `cairo_path_data_t` is 16 bytes: a header (int32 type, int32 length, 8 bytes unused) or a point
(double x, double y). Here it is a row of two float64: a header's first half holds the integers' bits, its second
half is NaN, which no point may have, so that headers and points can be told apart in an array operation.
"""

import struct
from math import nan

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float64]

ROW_BYTES = 16


def _header(kind: int, length: int) -> float:
    return float(struct.unpack("=d", struct.pack("=ii", kind, length))[0])


# cairo_path_data_type_t; length counts the header itself.
MOVE_TO = _header(0, 2)
LINE_TO = _header(1, 2)
CURVE_TO = _header(2, 4)

# Commands of an ezdxf path (ezdxf.path.Command): vertices that each takes, and rows that it becomes.
LINE, QUADRATIC, CUBIC, MOVE = 1, 2, 3, 4
_VERTICES = np.array([0, 1, 2, 3, 1])
_ROWS = np.array([0, 2, 4, 4, 2])
_HEADERS = np.array([nan, LINE_TO, CURVE_TO, CURVE_TO, MOVE_TO])


def polyline(vertices: Rows) -> Rows:
    """Rows of a path through `vertices` (n, 2)."""
    rows = np.empty((2 * len(vertices), 2))
    rows[0::2] = LINE_TO, nan
    rows[0, 0] = MOVE_TO
    rows[1::2] = vertices
    return rows


def path(vertices: Rows, commands: npt.NDArray[np.int8]) -> Rows:
    """Rows of an ezdxf path: `vertices` (n, 2) beginning with the start point, and one command a segment.

    Quadratic curves become cubic ones (exactly: control points at two thirds).
    """
    if (commands == LINE).all():
        return polyline(vertices)
    last = np.cumsum(_VERTICES[commands])  # index of each segment's end point; 0 is the start point
    first = 2 + np.concatenate(([0], np.cumsum(_ROWS[commands])))
    rows = np.empty((int(first[-1]), 2))
    rows[0] = MOVE_TO, nan
    rows[1] = vertices[0]
    at = first[:-1]
    rows[at, 0] = _HEADERS[commands]
    rows[at, 1] = nan
    rows[first[1:] - 1] = vertices[last]
    cubic, quadratic = commands == CUBIC, commands == QUADRATIC
    rows[at[cubic] + 1] = vertices[last[cubic] - 2]
    rows[at[cubic] + 2] = vertices[last[cubic] - 1]
    end, control = vertices[last[quadratic]], vertices[last[quadratic] - 1]
    start = vertices[last[quadratic] - 2]
    rows[at[quadratic] + 1] = start + (control - start) * (2 / 3)
    rows[at[quadratic] + 2] = end + (control - end) * (2 / 3)
    return rows
