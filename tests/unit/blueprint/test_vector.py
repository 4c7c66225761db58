"""Paths in cairo's memory layout, and the display list that holds them."""

import cairocffi
import numpy as np
import pytest
from ezdxf.npshapes import NumpyPath2d
from ezdxf.path import Path

from workers.blueprint.piece import straighten
from workers.blueprint.vector import display as module
from workers.blueprint.vector.canvas import paint
from workers.blueprint.vector.display import DisplayList, Extents, Style
from workers.blueprint.vector.paths import CURVE_TO, LINE_TO, MOVE_TO, Rows, path, polyline

BLACK = Style(0, 0, 0, 1, 1.0)
RED_FILL = Style(1, 0, 0, 1, 0.0)


def _drawn(rows: Rows) -> list[tuple[int, tuple[float, ...]]]:
    """What cairo reads from rows: its own copy of the path."""
    context = cairocffi.Context(cairocffi.ImageSurface(cairocffi.FORMAT_A8, 10, 10))
    ffi = cairocffi.ffi
    data = ffi.cast("cairo_path_data_t *", rows.ctypes.data)
    memory = ffi.new("cairo_path_t *", {"status": 0, "data": data, "num_data": len(rows)})
    cairocffi.cairo.cairo_append_path(context._pointer, memory)
    return [(kind, tuple(points)) for kind, points in context.copy_path()]


def _list(*strokes: tuple[int, Style, list[tuple[float, float]]]) -> DisplayList:
    display = DisplayList()
    for layer, style, vertices in strokes:
        display.data.frombytes(polyline(np.array(vertices, float)).tobytes())
        display.mark(layer, style)
    return display


def test_given_a_polyline_when_cairo_reads_it_then_it_moves_once_and_draws_lines() -> None:
    rows = polyline(np.array([(0, 0), (4, 0), (4, 3)], float))

    assert _drawn(rows) == [
        (cairocffi.PATH_MOVE_TO, (0, 0)),
        (cairocffi.PATH_LINE_TO, (4, 0)),
        (cairocffi.PATH_LINE_TO, (4, 3)),
    ]


def test_given_a_path_of_every_command_when_cairo_reads_it_then_quadratics_have_become_cubics() -> None:
    shape = Path((0, 0))
    shape.line_to((6, 0))
    shape.curve3_to((6, 6), (9, 3))
    shape.move_to((1, 1))
    shape.curve4_to((4, 4), (2, 1), (4, 2))
    flat = NumpyPath2d(shape)

    rows = path(flat.np_vertices(), np.array(flat.command_codes(), np.int8))

    kinds, points = zip(*_drawn(rows), strict=True)
    assert kinds == (
        cairocffi.PATH_MOVE_TO,
        cairocffi.PATH_LINE_TO,
        cairocffi.PATH_CURVE_TO,
        cairocffi.PATH_MOVE_TO,
        cairocffi.PATH_CURVE_TO,
    )
    assert points[2] == pytest.approx((8, 2, 8, 4, 6, 6), abs=0.01)
    assert points[4] == pytest.approx((2, 1, 4, 2, 4, 4), abs=0.01)


def test_given_headers_when_looked_at_then_each_is_told_from_a_point_by_its_second_half() -> None:
    rows = polyline(np.array([(1, 2), (3, 4)], float))

    assert rows[:, 0].tolist() == [MOVE_TO, 1, LINE_TO, 3]
    assert np.isnan(rows[[0, 2], 1]).all()
    assert len({MOVE_TO, LINE_TO, CURVE_TO}) == 3


def test_given_strokes_of_one_style_when_marked_then_they_are_joined_and_fills_never_are() -> None:
    line = [(0.0, 0.0), (1.0, 1.0)]
    strokes = _list((0, BLACK, line), (0, BLACK, line), (1, BLACK, line), (0, BLACK, line))
    fills = _list((0, RED_FILL, line), (0, RED_FILL, line))

    assert [(mark.layer, mark.start, mark.end) for mark in strokes.marks()] == [(0, 0, 8), (1, 8, 12), (0, 12, 16)]
    assert [(mark.start, mark.end) for mark in strokes.marks(0)] == [(0, 8), (12, 16)]
    assert len(fills) == 2


def test_given_a_long_run_of_strokes_when_marked_then_it_is_cut_into_bounded_paths() -> None:
    display = _list(*[(0, BLACK, [(0.0, 0.0), (1.0, 1.0)])] * 500)

    lengths = [mark.end - mark.start for mark in display.marks()]
    assert sum(lengths) == 2000
    assert max(lengths) <= module.MAX_STROKE_ROWS + 4


@pytest.mark.parametrize("part_rows", [4, 1 << 20])
def test_given_a_list_when_placed_then_points_become_pixels_and_boxes_hold_the_ink(
    monkeypatch: pytest.MonkeyPatch, part_rows: int
) -> None:
    monkeypatch.setattr(module, "PART_ROWS", part_rows)
    display = _list((3, BLACK, [(10, 10), (20, 10)]), (5, RED_FILL, [(10, 20), (12, 20), (12, 15)]))
    assert display.extents() == Extents(10, 10, 20, 20)

    display.place(10, 20, 10)

    assert display.rows()[1].tolist() == [0, 100]
    assert display.boxes(101, 101) == {3: (0, 98, 101, 3), 5: (0, 0, 21, 51)}


def test_given_a_mark_outside_the_picture_when_boxed_then_it_has_no_box() -> None:
    display = _list((0, BLACK, [(-50, -50), (-40, -50)]))

    assert display.boxes(10, 10) == {}


def test_given_an_empty_list_when_asked_then_it_has_neither_extents_nor_boxes() -> None:
    assert DisplayList().extents() is None
    assert DisplayList().boxes(10, 10) == {}


def test_given_a_box_when_painted_then_the_piece_is_that_window_of_the_whole() -> None:
    display = _list((0, RED_FILL, [(2, 2), (8, 2), (8, 8), (2, 8)]), (1, BLACK, [(0, 5), (10, 5)]))

    whole, window = paint(display, (0, 0, 10, 10)), paint(display, (4, 4, 6, 5))

    assert np.array_equal(whole.pixels[4:9, 4:10], window.pixels)
    assert window.box == (4, 4, 6, 5)
    assert whole.pixels[3, 3].tolist() == [0, 0, 255, 255]


def test_given_translucent_ink_when_painted_then_its_colour_is_not_darkened() -> None:
    display = _list((0, Style(1, 0.5, 0, 0.25, 0.0), [(0, 0), (4, 0), (4, 4), (0, 4)]))

    assert paint(display, (0, 0, 4, 4)).pixels[1, 1].tolist() == pytest.approx([0, 128, 255, 64], abs=3)


def test_given_every_alpha_when_straightened_then_colour_comes_back_and_clear_and_solid_are_untouched() -> None:
    alpha = np.arange(256, dtype=np.uint16)
    straight = np.array([200, 100, 0], np.uint16)
    premultiplied = np.concatenate([(straight * alpha[:, None] + 127) // 255, alpha[:, None]], axis=1).astype(np.uint8)

    straighten(premultiplied.reshape(16, 16, 4))

    assert premultiplied[0].tolist() == [0, 0, 0, 0]
    assert premultiplied[255].tolist() == [200, 100, 0, 255]
    assert premultiplied[64, :3] == pytest.approx([200, 100, 0], abs=2)
