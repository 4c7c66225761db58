"""Paths as a drawing is recorded: one byte a command, and points of 4-byte floats; cairo's own layout when painted.

Commands are those of an ezdxf path (`ezdxf.path.Command`), and so is the order of points: a curve's control points
come before its end, and a quadratic curve begins where the command before it ended.

An element of cairo's `cairo_path_data_t` is 16 bytes: a header (int32 type, int32 length, 8 bytes unused) or a point
(double x, double y). Here it is a row of two float64; a header's first half holds the integers' bits.
"""

import struct

import numpy as np
import numpy.typing as npt

Commands = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]
Rows = npt.NDArray[np.float64]

ROW_BYTES = 16

LINE, QUADRATIC, CUBIC, MOVE = 1, 2, 3, 4

# Points that each command takes, and rows that it becomes.
POINTS_OF = np.array([0, 1, 2, 3, 1])
_ROWS_OF = np.array([0, 2, 4, 4, 2])


def _header(kind: int, length: int) -> float:
    return float(struct.unpack("=d", struct.pack("=ii", kind, length))[0])


# cairo_path_data_type_t; length counts the header itself. Quadratic curves become cubic ones.
_HEADERS = np.array([0.0, _header(1, 2), _header(2, 4), _header(2, 4), _header(0, 2)])


def polyline(count: int) -> bytes:
    """Commands of a path through `count` points."""
    return bytes([MOVE]) + bytes([LINE]) * (count - 1)


def cairo_rows(commands: Commands, points: Rows) -> tuple[Rows, npt.NDArray[np.int64]]:
    """Rows (n, 2) of paths, and the row after each command. Costs 16 bytes a row, two to four rows a command.

    A quadratic curve is raised to a cubic one exactly: control points at two thirds.
    """
    ends = np.cumsum(_ROWS_OF[commands])
    last = np.cumsum(POINTS_OF[commands]) - 1
    at = ends - _ROWS_OF[commands]
    rows = np.empty((int(ends[-1]), 2))
    rows[at, 0] = _HEADERS[commands]
    rows[ends - 1] = points[last]
    cubic = commands == CUBIC
    rows[at[cubic] + 1] = points[last[cubic] - 2]
    rows[at[cubic] + 2] = points[last[cubic] - 1]
    quadratic = commands == QUADRATIC
    start, control, end = (points[last[quadratic] - back] for back in (2, 1, 0))
    rows[at[quadratic] + 1] = start + (control - start) * (2 / 3)
    rows[at[quadratic] + 2] = end + (control - end) * (2 / 3)
    return rows, ends
