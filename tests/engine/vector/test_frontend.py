"""Content of real drawings that ezdxf's own frontend draws differently from CAD programs."""

from pathlib import Path

import numpy as np
import pytest
from ezdxf.colors import RGB
from ezdxf.filemanagement import new
from ezdxf.layouts.base import BaseLayout

from tests.engine.conftest import Render
from tests.engine.drawings import layer_named, pixels, save
from workers.render.raster import Pixels


def _masked(space: BaseLayout) -> None:
    """Draw a line last that the redraw order puts below a white area."""
    area = space.add_solid([(-10, -10), (10, -10), (-10, 10), (10, 10)], {"color": 1})
    line = space.add_line((-5, 0), (5, 0), {"color": 5, "lineweight": 211})
    space.set_redraw_order([(line.dxf.handle, "1"), (area.dxf.handle, "FFFF")])


def _blue(image: Pixels) -> int:
    return int(((image[..., 2] > 200) & (image[..., 0] < 50)).sum())


@pytest.mark.parametrize("layout", ["", "Layout1"])
@pytest.mark.parametrize("inside", ["model", "block"])
def test_given_a_redraw_order_when_rendered_then_blocks_and_viewports_keep_it(
    tmp_path: Path, out: Path, draw: Render, inside: str, layout: str
) -> None:
    document = new("R2010")
    if inside == "block":
        _masked(document.blocks.new("TAG"))
        document.modelspace().add_blockref("TAG", (0, 0))
    else:
        _masked(document.modelspace())
    document.paperspace("Layout1").add_viewport((50, 50), (90, 90), (0, 0), 30, status=2)

    draw(save(document, tmp_path / "order.dxf"), width=200, layout=layout)

    image = pixels(out / "preview.webp")
    assert _blue(image) == 0
    assert (image[..., 0] > 200).any()


def test_given_a_block_on_a_layer_that_a_viewport_freezes_when_rendered_then_its_parts_are_hidden_there(
    tmp_path: Path, draw: Render
) -> None:
    document = new("R2010")
    for name in ("FURNITURE", "PART", "WALLS"):
        document.layers.add(name)
    document.blocks.new("CHAIR").add_circle((0, 0), 2, {"layer": "PART"})
    document.modelspace().add_blockref("CHAIR", (0, 0), {"layer": "FURNITURE"})
    document.modelspace().add_circle((0, 0), 4, {"layer": "WALLS"})
    paper = document.paperspace("Layout1")
    paper.add_viewport((50, 50), (80, 80), (0, 0), 10, status=2).frozen_layers = ["FURNITURE"]

    manifest = draw(save(document, tmp_path / "frozen.dxf"), width=200, layout="Layout1")

    assert {layer.name for layer in manifest.layers if layer.file} >= {"WALLS"}
    assert layer_named(manifest, "PART").empty


@pytest.mark.parametrize("background", ["light", "dark"])
def test_given_a_layer_that_the_table_lacks_when_rendered_then_its_ink_contrasts_with_the_background(
    tmp_path: Path, out: Path, draw: Render, background: str
) -> None:
    document = new("R2010")
    document.modelspace().add_solid([(0, 0), (9, 0), (0, 9), (9, 9)], {"layer": "Ghost"})

    draw(save(document, tmp_path / "ghost.dxf"), width=64, background=background)

    assert (pixels(out / "preview.webp")[32, 32] == (0 if background == "light" else 255)).all()


@pytest.mark.parametrize(("paper_scaled", "dashes"), [(1, 10), (0, 20)])
def test_given_a_dashed_line_in_a_viewport_when_rendered_then_its_dashes_are_as_long_as_the_layout_says(
    tmp_path: Path, out: Path, draw: Render, paper_scaled: int, dashes: int
) -> None:
    # 100 mm on paper, shown at 1:2: dashes and gaps are 5 mm on paper, or half of that.
    document = new("R2010")
    document.paperspace("Layout1").dxf.layout_flags = paper_scaled  # AutoCAD's PSLTSCALE
    document.linetypes.add("EVEN", [10.0, 5.0, -5.0])
    document.modelspace().add_line((-100, 0), (100, 0), {"linetype": "EVEN"})
    document.paperspace("Layout1").add_viewport((50, 50), (120, 40), (0, 0), 80, status=2)

    draw(save(document, tmp_path / "dashes.dxf"), width=800, layout="Layout1")

    row = pixels(out / "preview.webp")[..., 0].min(axis=0) < 200
    assert np.count_nonzero(np.diff(row.astype(int)) == 1) == pytest.approx(dashes, abs=1)


def _endless(space: BaseLayout, place: tuple[float, float]) -> None:
    """Add an infinite horizontal line and an upward ray through one point."""
    space.add_xline(place, (1, 0), {"color": 1})
    space.add_ray(place, (0, 1), {"color": 1})


@pytest.mark.parametrize("inside", ["model", "block", "viewport"])
def test_given_infinite_lines_when_rendered_then_they_cross_the_extents_of_the_rest(
    tmp_path: Path, out: Path, draw: Render, inside: str
) -> None:
    document = new("R2010")
    model = document.modelspace()
    model.add_lwpolyline([(0, 0), (400, 0), (400, 400), (0, 400)], close=True)
    if inside == "block":
        _endless(document.blocks.new("CROSS"), (0, 0))
        for place in ((100, 100), (200, 200), (300, 300)):
            model.add_blockref("CROSS", place)
    else:
        _endless(model, (200, 200))
    document.paperspace("Layout1").add_viewport((50, 50), (100, 100), (200, 200), 400, status=2)

    draw(save(document, tmp_path / "axes.dxf"), width=400, layout="Layout1" * (inside == "viewport"))

    image = pixels(out / "preview.webp")
    assert image.shape[0] == pytest.approx(image.shape[1], abs=2)  # infinite lines do not enlarge the drawing
    red = image[..., 1] < image[..., 0] * 0.8
    count = 3 if inside == "block" else 1
    lines = (red.mean(axis=1) > 0.9).astype(int)
    assert (np.diff(lines, prepend=0) == 1).sum() == count
    rays = red[40:60].all(axis=0).astype(int)
    assert (np.diff(rays, prepend=0) == 1).sum() == count
    assert not red[340:360].any()  # a ray starts at its point


def test_given_infinite_lines_only_when_rendered_then_they_are_drawn(tmp_path: Path, out: Path, draw: Render) -> None:
    document = new("R2010")
    _endless(document.modelspace(), (7, 7))
    document.modelspace().add_xline((7, 7), (0, 0, 1))  # a point in the top view

    draw(save(document, tmp_path / "alone.dxf"), width=64)

    assert (pixels(out / "preview.webp") < 128).any()


def test_given_plain_paragraphs_with_a_mask_when_rendered_then_entities_behind_the_mask_are_hidden(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    document = new("R2010")
    space = document.modelspace()
    space.add_solid([(-50, -50), (50, -50), (-50, 50), (50, 50)], {"color": 5})
    space.add_mtext("MMMM", {"char_height": 20, "attachment_point": 5, "bg_fill": 1, "bg_fill_color": 1})

    draw(save(document, tmp_path / "mask.dxf"), width=200)

    image = pixels(out / "preview.webp")
    assert ((image[..., 0] > 200) & (image[..., 1] < 50)).mean() > 0.1


def test_given_a_gradient_when_rendered_then_it_is_filled_with_the_mean_of_its_colours(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    document = new("R2010")
    hatch = document.modelspace().add_hatch()
    hatch.paths.add_polyline_path([(0, 0), (40, 0), (40, 40), (0, 40)], is_closed=True)
    hatch.set_gradient(RGB(200, 0, 0), RGB(100, 0, 200))

    manifest = draw(save(document, tmp_path / "gradient.dxf"), width=100)

    assert pixels(out / "preview.webp")[50, 50].tolist() == [150, 0, 100]
    assert [warning.code for warning in manifest.warnings] == ["gradients-flattened"]


@pytest.mark.parametrize(
    ("text", "meant"), [("\\U+041F\\U+041B\\U+0410\\U+041D", "ПЛАН"), ("\\M+2A4A4\\M+2A4E5", "中文")]
)
@pytest.mark.parametrize("form", ["asc", "bin"])
def test_given_characters_written_as_codes_when_rendered_then_they_are_decoded(
    tmp_path: Path, out: Path, draw: Render, text: str, meant: str, form: str
) -> None:
    def drawn(words: str) -> Pixels:
        document = new("R2000")
        document.modelspace().add_text(words, height=5, dxfattribs={"layer": meant})  # which ezdxf writes as codes
        document.saveas(tmp_path / "codes.dxf", fmt=form)
        assert draw(tmp_path / "codes.dxf", width=200).layers[-1].name == meant
        return pixels(out / "preview.webp")

    document = new("R2010")
    document.modelspace().add_text(meant, height=5)
    draw(save(document, tmp_path / "letters.dxf"), width=200)

    assert np.array_equal(pixels(out / "preview.webp"), drawn(text))


def test_given_a_proxy_object_without_graphics_when_rendered_then_a_warning_says_that_it_is_missing(
    tmp_path: Path, draw: Render
) -> None:
    document = new("R2010")
    document.modelspace().add_line((0, 0), (10, 5))
    source = save(document, tmp_path / "walls.dxf")
    text = source.read_text()
    at = text.index("  0\nLINE\n", text.index("ENTITIES"))
    wall = "  0\nAEC_WALL\n  5\nFF1\n330\n1F\n100\nAcDbEntity\n  8\n0\n100\nAecDbWall\n"
    source.write_text(text[:at] + wall + text[at:])

    manifest = draw(source, width=64)

    messages = [warning.message for warning in manifest.warnings]
    assert messages == ["Entities of unsupported types were not drawn: 1 AEC_WALL."]
