"""Path data: one byte a command and 4-byte float points when recorded, cairo's own layout when painted.

Commands, and the order of points, are those of an ezdxf path (`ezdxf.path.Command`): a curve's control points precede
its end point, and a curve starts at the end point of the previous command.

An element of cairo's `cairo_path_data_t` is 16 bytes: a header (int32 type, int32 length, 8 bytes unused) or a point
(double x, double y). Here it is a row of two float64 values; the first of a header holds the bits of both integers.
"""

import struct

import numpy as np
import numpy.typing as npt

Commands = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]
Rows = npt.NDArray[np.float64]

ROW_BYTES = 16

LINE, QUADRATIC, CUBIC, MOVE = 1, 2, 3, 4

# Number of points of each command, and of rows in cairo's layout.
POINTS_OF = np.array([0, 1, 2, 3, 1])
_ROWS_OF = np.array([0, 2, 4, 4, 2])


def _header(kind: int, length: int) -> float:
    return float(struct.unpack("=d", struct.pack("=ii", kind, length))[0])


# cairo_path_data_type_t; length counts the header itself. Quadratic curves become cubic ones.
_HEADERS = np.array([0.0, _header(1, 2), _header(2, 4), _header(2, 4), _header(0, 2)])


def polyline(count: int) -> bytes:
    """Return the commands of a path through `count` points."""
    return bytes([MOVE]) + bytes([LINE]) * (count - 1)


def cairo_rows(commands: Commands, points: Rows) -> tuple[Rows, npt.NDArray[np.int64]]:
    """Return paths in cairo's layout as rows (n, 2), and the index of the row after each command.

    Takes 16 bytes a row, two to four rows a command. A quadratic curve becomes the equal cubic one, with control points
    at two thirds.
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
