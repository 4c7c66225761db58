"""Recorded paths and their layout in cairo, the display list, and its spill buffer."""

import cairocffi
import numpy as np
import pytest
from ezdxf.npshapes import NumpyPath2d
from ezdxf.path import Path

from workers.render.raster import unpremultiply
from workers.render.vector import display as module
from workers.render.vector import spill_buffer
from workers.render.vector.display import DisplayList, Extents, Style, View
from workers.render.vector.draw_order import draw_order_matters
from workers.render.vector.painter import paint, paint_by_layer
from workers.render.vector.paths import Rows, cairo_rows, polyline

BLACK = Style(0, 0, 0, 1, 1.0)
RED_FILL = Style(1, 0, 0, 1, 0.0)
SQUARE = [(2.0, 2.0), (8.0, 2.0), (8.0, 8.0), (2.0, 8.0)]
LINE = [(0.0, 0.0), (1.0, 1.0)]

# Ten units wide, y downwards from 10, one pixel a unit.
TEN = View(0, 10, 1, (10, 10))


def _drawn(rows: Rows) -> list[tuple[int, tuple[float, ...]]]:
    """Return cairo's own copy of the path in `rows`."""
    context = cairocffi.Context(cairocffi.ImageSurface(cairocffi.FORMAT_A8, 10, 10))
    ffi = cairocffi.ffi
    data = ffi.cast("cairo_path_data_t *", rows.ctypes.data)
    memory = ffi.new("cairo_path_t *", {"status": 0, "data": data, "num_data": len(rows)})
    cairocffi.cairo.cairo_append_path(context._pointer, memory)
    return [(kind, tuple(points)) for kind, points in context.copy_path()]


def _list(*strokes: tuple[int, Style, list[tuple[float, float]]]) -> DisplayList:
    display = DisplayList()
    for layer, style, vertices in strokes:
        display.origin = display.origin or vertices[0]
        display.commands.frombytes(polyline(len(vertices)))
        display.points.extend(
            value - start for pair in vertices for value, start in zip(pair, display.origin, strict=True)
        )
        display.mark(layer, style)
    display.close()
    return display


def _marks(display: DisplayList, layers: set[int] | None = None) -> list[tuple[int, int]]:
    """Return the layer and number of commands of each mark."""
    return [
        (layer, length)
        for part in display.chunks(TEN, (0, 0, 10, 10), layers)
        for layer, length in zip(part.layers.tolist(), np.diff(part.ends, prepend=0).tolist(), strict=True)
    ]


def test_given_a_polyline_when_cairo_reads_it_then_it_moves_once_and_draws_lines() -> None:
    rows, ends = cairo_rows(np.frombuffer(polyline(3), np.uint8), np.array([(0, 0), (4, 0), (4, 3)], float))

    assert ends.tolist() == [2, 4, 6]
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

    rows, _ = cairo_rows(np.array([4, *flat.command_codes()], np.uint8), flat.np_vertices())

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


def test_given_strokes_of_one_style_when_marked_then_they_are_joined_and_fills_never_are() -> None:
    strokes = _list((0, BLACK, LINE), (0, BLACK, LINE), (1, BLACK, LINE), (0, BLACK, LINE))
    fills = _list((0, RED_FILL, LINE), (0, RED_FILL, LINE))

    assert [length for _, length in _marks(strokes)] == [8]
    assert _marks(strokes, {0}) == [(0, 6)]
    assert _marks(fills) == [(0, 2), (0, 2)]


def test_given_a_long_run_of_strokes_when_marked_then_it_is_cut_into_bounded_paths() -> None:
    lengths = [length for _, length in _marks(_list(*[(0, BLACK, LINE)] * 500))]

    assert sum(lengths) == 1000
    assert max(lengths) <= module.MAX_STROKE_COMMANDS + 2


@pytest.mark.parametrize("part_points", [1, 1 << 17])
def test_given_a_list_when_viewed_then_points_become_pixels_and_boxes_hold_the_ink(
    monkeypatch: pytest.MonkeyPatch, part_points: int
) -> None:
    monkeypatch.setattr(module, "CHUNK_POINTS", part_points)
    display = _list((3, BLACK, [(10, 10), (20, 10)]), (5, RED_FILL, [(10, 20), (12, 20), (12, 15)]))

    assert display.extents() == Extents(10, 10, 20, 20)
    assert display.layer_boxes(View(10, 20, 10, (101, 101))) == {3: (0, 98, 101, 3), 5: (0, 0, 21, 51)}
    assert display.layers == {3, 5}


def test_given_a_drawing_far_from_the_origin_when_recorded_then_precision_is_kept() -> None:
    display = _list((0, BLACK, [(1e9, 1e9), (1e9 + 0.001, 1e9)]))

    extents = display.extents()
    assert extents is not None
    assert extents.right - extents.left == pytest.approx(0.001, rel=1e-3)


def test_given_a_mark_outside_the_image_when_boxed_then_it_has_no_box_and_is_not_painted() -> None:
    display = _list((0, BLACK, [(-50, -50), (-40, -50)]))

    assert display.layer_boxes(TEN) == {}
    assert not list(display.chunks(TEN, (0, 0, 10, 10)))


def test_given_an_empty_list_then_it_has_neither_extents_nor_boxes() -> None:
    display = DisplayList()
    display.close()

    assert display.extents() is None
    assert display.layer_boxes(TEN) == {}


def test_given_chunks_above_the_memory_limit_when_painted_from_disk_then_every_pixel_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strokes = [
        (number % 3, Style(number / 10, 0, 0, 1, 1.0), [(number, 0.0), (10.0 - number, 10.0)]) for number in range(10)
    ]
    in_memory = paint(_list(*strokes), TEN, (0, 0, 10, 10))

    monkeypatch.setattr(module, "CHUNK_POINTS", 2)
    monkeypatch.setattr(module, "SpillBuffer", lambda: spill_buffer.SpillBuffer(memory_bytes=0))
    spilled = paint(_list(*strokes), TEN, (0, 0, 10, 10))

    assert in_memory.pixels.any()
    assert np.array_equal(in_memory.pixels, spilled.pixels)


def test_given_a_box_when_painted_then_the_raster_is_that_part_of_the_whole() -> None:
    display = _list((0, RED_FILL, SQUARE), (1, BLACK, [(0, 5), (10, 5)]), (1, BLACK, [(0, 9), (3, 9)]))

    whole, window = paint(display, TEN, (0, 0, 10, 10)), paint(display, TEN, (4, 4, 6, 5))

    assert np.array_equal(whole.pixels[4:9, 4:10], window.pixels)
    assert window.box == (4, 4, 6, 5)
    assert whole.pixels[3, 3].tolist() == [0, 0, 255, 255]


def test_given_a_filled_area_drawn_over_a_later_layer_when_compared_then_draw_order_matters() -> None:
    over = _list((1, BLACK, [(0, 5), (10, 5)]), (0, RED_FILL, SQUARE))
    under = _list((0, RED_FILL, SQUARE), (1, BLACK, [(0, 5), (10, 5)]))

    assert draw_order_matters(over, TEN)
    assert not draw_order_matters(under, TEN)
    assert np.array_equal(paint_by_layer(over, TEN, (0, 0, 10, 10)).pixels, paint(under, TEN, (0, 0, 10, 10)).pixels)


def test_given_translucent_ink_when_painted_then_its_colour_is_not_darkened() -> None:
    display = _list((0, Style(1, 0.5, 0, 0.25, 0.0), SQUARE))

    assert paint(display, TEN, (0, 0, 10, 10)).pixels[4, 4].tolist() == pytest.approx([0, 128, 255, 64], abs=3)


def test_given_every_alpha_when_straightened_then_colour_comes_back_and_clear_and_solid_are_untouched() -> None:
    alpha = np.arange(256, dtype=np.uint16)
    straight = np.array([200, 100, 0], np.uint16)
    premultiplied = np.concatenate([(straight * alpha[:, None] + 127) // 255, alpha[:, None]], axis=1).astype(np.uint8)

    unpremultiply(premultiplied.reshape(16, 16, 4))

    assert premultiplied[0].tolist() == [0, 0, 0, 0]
    assert premultiplied[255].tolist() == [200, 100, 0, 255]
    assert premultiplied[64, :3] == pytest.approx([200, 100, 0], abs=2)
