"""DXF drawings: the right ink on the right layer."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from ezdxf.filemanagement import new

from tests.engine.conftest import Render
from tests.engine.drawings import layer_named, pixels, save, stacked
from workers.render import BlueprintError, Step


def test_given_a_drawing_when_rendered_then_each_visible_layer_with_ink_has_a_file(
    pump: Path, out: Path, draw: Render
) -> None:
    manifest = draw(pump, width=400)

    drawn = {layer.name for layer in manifest.layers if layer.file}
    assert drawn == {"PIPES", "VALVES"}
    assert {path.name for path in (out / "layers").iterdir()} == {
        Path(layer.file).name for layer in manifest.layers if layer.file
    }
    assert manifest.preview.width == 400
    assert manifest.source.units == "mm"


def test_given_layers_off_and_frozen_when_rendered_then_the_manifest_names_them_as_not_visible(
    pump: Path, draw: Render
) -> None:
    manifest = draw(pump, width=400)

    assert [layer.name for layer in manifest.layers if not layer.visible] == ["HIDDEN", "COLD"]
    notes = layer_named(manifest, "NOTES")
    assert notes.visible
    assert notes.empty


def test_given_a_block_drawn_on_layer_0_when_inserted_then_its_ink_is_on_the_inserts_layer(
    pump: Path, out: Path, draw: Render
) -> None:
    manifest = draw(pump, width=400)

    valves = layer_named(manifest, "VALVES")
    assert valves.extent is not None
    assert valves.file is not None
    x, y, width, height = valves.extent
    # 400 px show 100 mm plus a margin of 1 mm on either side. The block is at 20, 20 and has 16 x 8 mm; y runs
    # downwards from 51 mm.
    assert (x, y) == pytest.approx((82, 90), abs=3)
    assert (x + width, y + height) == pytest.approx((145, 122), abs=3)
    image = pixels(out / valves.file)
    assert np.median(image[image[..., 3] > 128], axis=0)[:3] == pytest.approx((0, 255, 0), abs=2)


def test_given_nested_blocks_and_xref_names_when_rendered_then_inner_layers_keep_their_ink(
    tmp_path: Path, draw: Render
) -> None:
    document = new("R2010")
    for name in ("OUTER", "site$0$WALL"):
        document.layers.add(name)
    inner = document.blocks.new("INNER")
    inner.add_line((0, 0), (10, 0), {"layer": "0"})
    inner.add_line((0, 5), (10, 5), {"layer": "site$0$WALL"})
    document.blocks.new("MIDDLE").add_blockref("INNER", (0, 0), {"layer": "0"})
    document.modelspace().add_blockref("MIDDLE", (0, 0), {"layer": "OUTER"})

    manifest = draw(save(document, tmp_path / "nested.dxf"), width=200)

    outer, wall = layer_named(manifest, "OUTER"), layer_named(manifest, "site$0$WALL")
    assert outer.extent is not None
    assert wall.extent is not None
    assert outer.extent[1] > wall.extent[1] + wall.extent[3]
    assert layer_named(manifest, "0").empty


def test_given_a_dimension_when_rendered_then_all_its_parts_are_on_its_own_layer_and_in_its_colour(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    document = new("R2010", setup=True)
    document.layers.add("DIMS", color=5)
    dimension = document.modelspace().add_linear_dim(
        base=(0, 20), p1=(0, 0), p2=(80, 0), dimstyle="EZDXF", override={"dimtxt": 3.0}, dxfattribs={"layer": "DIMS"}
    )
    dimension.render()

    manifest = draw(save(document, tmp_path / "dimension.dxf"), width=400)

    assert {layer.name for layer in manifest.layers if layer.file} == {"DIMS"}
    lines = pixels(out / str(layer_named(manifest, "DIMS").file))
    blue = (lines[..., 3] > 128) & (lines[..., 2] > 200) & (lines[..., 0] < 50)
    assert blue.sum() > 300


def test_given_blocks_on_frozen_and_on_layers_that_are_off_when_rendered_then_only_the_frozen_one_hides_its_parts(
    tmp_path: Path, draw: Render
) -> None:
    document = new("R2010")
    for name in ("FROZEN", "OFF", "PART-A", "PART-B"):
        document.layers.add(name)
    document.layers.get("FROZEN").freeze()
    document.layers.get("OFF").off()
    document.blocks.new("A").add_circle((0, 0), 5, {"layer": "PART-A"})
    document.blocks.new("B").add_circle((0, 0), 5, {"layer": "PART-B"})
    document.modelspace().add_blockref("A", (0, 0), {"layer": "FROZEN"})
    document.modelspace().add_blockref("B", (0, 0), {"layer": "OFF"})

    manifest = draw(save(document, tmp_path / "hidden.dxf"), width=64)

    assert {layer.name for layer in manifest.layers if layer.file} == {"PART-B"}


def test_given_a_layer_missing_from_the_table_when_rendered_then_it_is_added_at_the_end(
    tmp_path: Path, draw: Render
) -> None:
    document = new("R2010")
    document.modelspace().add_line((0, 0), (10, 4), {"layer": "Ghost"})

    manifest = draw(save(document, tmp_path / "ghost.dxf"), width=64)

    assert manifest.layers[-1].name == "Ghost"
    assert not manifest.layers[-1].empty


def test_given_all_layers_when_stacked_then_they_show_the_ink_of_the_preview(
    pump: Path, out: Path, draw: Render
) -> None:
    manifest = draw(pump, width=600)

    preview = (pixels(out / "preview.webp") < 250).any(axis=2)
    assert preview.any()
    assert np.array_equal(preview & stacked(out, manifest), preview)


@pytest.mark.parametrize(
    ("background", "corner", "ink"),
    [("light", (255, 255, 255), (0, 0, 0)), ("dark", (33, 40, 48), (255, 255, 255))],
)
def test_given_a_background_when_rendered_then_colour_7_contrasts_with_it(
    tmp_path: Path, out: Path, draw: Render, background: str, corner: tuple[int, ...], ink: tuple[int, ...]
) -> None:
    document = new("R2010")
    document.modelspace().add_solid([(0, 0), (10, 0), (0, 10), (10, 10)], {"layer": "0"})
    document.modelspace().add_point((20, 20))

    draw(save(document, tmp_path / "seven.dxf"), width=100, background=background)

    image = pixels(out / "preview.webp")
    assert tuple(image[5, 5]) == corner
    assert tuple(image[90, 10]) == ink


def test_given_a_transparent_background_when_rendered_then_the_preview_has_holes(
    pump: Path, out: Path, draw: Render
) -> None:
    draw(pump, width=100, background="transparent")

    alpha = pixels(out / "preview.webp")[..., 3]
    assert alpha.min() == 0
    assert alpha.max() > 100


def test_given_the_same_drawing_twice_when_rendered_then_every_byte_is_the_same(
    tmp_path: Path, draw: Render, out: Path
) -> None:
    document = new("R2010", setup=True)
    hatch = document.modelspace().add_hatch(color=2)
    hatch.set_pattern_fill("ANSI31", scale=0.5)
    hatch.paths.add_polyline_path([(0, 0), (40, 0), (40, 30), (0, 30)], is_closed=True)
    document.modelspace().add_text("PUMP", height=3).set_placement((5, 5))
    source = save(document, tmp_path / "same.dxf")

    def once() -> dict[str, bytes]:
        draw(source, width=300)
        files = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        for path in sorted(out.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        return files

    first = once()
    assert len(first) == 3
    assert once() == first


def test_given_a_referenced_image_when_rendered_then_it_is_not_opened_and_a_warning_says_so(
    tmp_path: Path, draw: Render
) -> None:
    document = new("R2010")
    beside = tmp_path / "secret.png"
    beside.write_bytes(b"not an image")
    image = document.add_image_def(str(beside), size_in_pixel=(10, 10))
    document.modelspace().add_image(image, insert=(0, 0), size_in_units=(10, 10))

    manifest = draw(save(document, tmp_path / "image.dxf"), width=64)

    assert "images-not-drawn" in {warning.code for warning in manifest.warnings}


def test_given_invalid_coordinates_when_rendered_then_the_rest_is_drawn_with_a_warning(
    tmp_path: Path, draw: Render
) -> None:
    document = new("R2010")
    space = document.modelspace()
    space.add_line((0, 0), (10, 5))
    space.add_line((0, 0), (1e300, float("nan")))
    space.add_circle((float("inf"), 0), 2)

    manifest = draw(save(document, tmp_path / "nan.dxf"), width=64)

    assert not manifest.layers[0].empty
    assert "invalid-coordinates" in {warning.code for warning in manifest.warnings}
    assert manifest.source.extents == pytest.approx((0, 0, 10, 5), abs=0.2)


def test_given_a_drawing_far_from_the_origin_when_rendered_then_its_lines_keep_their_position(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    document = new("R2010")
    far = 1e8
    document.modelspace().add_lwpolyline([(far, far), (far + 10, far), (far + 10, far + 5), (far, far + 5)], close=True)

    draw(save(document, tmp_path / "far.dxf"), width=100)

    image = pixels(out / "preview.webp")
    assert (image[0] < 200).any(axis=1).mean() > 0.9
    assert (image[25, 10:90] > 250).all()


def test_given_a_single_horizontal_line_when_rendered_then_the_preview_still_has_some_height(
    tmp_path: Path, draw: Render
) -> None:
    document = new("R2010")
    document.modelspace().add_line((0, 3), (10, 3))

    manifest = draw(save(document, tmp_path / "line.dxf"), width=200)

    assert (manifest.preview.width, manifest.preview.height) == (200, 16)


def test_given_a_paper_layout_when_requested_then_its_viewport_shows_the_model_without_the_layers_frozen_in_it(
    tmp_path: Path, draw: Render
) -> None:
    document = new("R2010", setup=True)
    for name in ("SHOWN", "FROZEN-HERE"):
        document.layers.add(name)
    block = document.blocks.new("B")
    block.add_circle((0, 0), 2, {"layer": "FROZEN-HERE"})
    space = document.modelspace()
    space.add_circle((0, 0), 4, {"layer": "SHOWN"})
    space.add_blockref("B", (0, 0), {"layer": "SHOWN"})
    paper = document.paperspace("Layout1")
    viewport = paper.add_viewport(center=(50, 50), size=(80, 80), view_center_point=(0, 0), view_height=10, status=2)
    viewport.frozen_layers = ["FROZEN-HERE"]

    manifest = draw(save(document, tmp_path / "paper.dxf"), width=200, layout="layout1")

    assert not layer_named(manifest, "SHOWN").empty
    assert layer_named(manifest, "FROZEN-HERE").empty


def test_given_a_layout_that_does_not_exist_when_requested_then_the_error_lists_the_existing_ones(
    pump: Path, draw: Render
) -> None:
    with pytest.raises(BlueprintError) as caught:
        draw(pump, layout="Elevation")

    assert caught.value.code == "no-such-layout"
    assert caught.value.message == "There is no layout 'Elevation'. Choose one of: Model, Layout1."


def test_given_an_empty_layout_when_rendered_then_the_error_names_the_others(tmp_path: Path, draw: Render) -> None:
    source = save(new("R2010"), tmp_path / "empty.dxf")

    with pytest.raises(BlueprintError) as caught:
        draw(source)

    assert caught.value.code == "nothing-to-draw"
    assert caught.value.message.endswith("or choose another layout (Layout1).")


def test_given_a_dxf_with_invalid_content_when_rendered_then_the_error_says_how_to_repair_it(
    tmp_path: Path, draw: Render
) -> None:
    source = tmp_path / "broken.dxf"
    source.write_text("0\nSECTION\n2\nENTITIES\n0\nLWPOLYLINE\n5\nFF\nnonsense\nmore\n0\nENDSEC\n0\nEOF\n")

    with pytest.raises(BlueprintError) as caught:
        draw(source)

    assert caught.value.code in {"damaged-dxf", "nothing-to-draw"}


def test_given_a_block_that_contains_itself_when_rendered_then_it_is_refused_or_drawn_without_hanging(
    tmp_path: Path, draw: Render
) -> None:
    document = new("R2010")
    block = document.blocks.new("SELF")
    block.add_line((0, 0), (1, 1))
    block.add_blockref("SELF", (1, 0))
    document.modelspace().add_blockref("SELF", (0, 0))

    with pytest.raises(BlueprintError) as caught:
        draw(save(document, tmp_path / "self.dxf"), width=64)

    assert caught.value.code == "damaged-dxf"


def test_given_a_manifest_when_read_back_then_it_names_files_by_checksum(pump: Path, out: Path, draw: Render) -> None:
    manifest = draw(pump, width=128)

    stored = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert stored == manifest.model_dump(mode="json")
    for entry in [stored["preview"], *(layer for layer in stored["layers"] if layer["file"])]:
        blob = (out / entry["file"]).read_bytes()
        assert hashlib.sha256(blob).hexdigest() == entry["sha256"]
        assert len(blob) == entry["bytes"]


def test_given_a_render_when_progress_is_reported_then_it_rises_from_plan_to_100_percent(
    pump: Path, draw: Render
) -> None:
    steps: list[Step] = []

    draw(pump, steps, width=64)

    percents = [step.percent for step in steps]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    stages = list(dict.fromkeys(step.stage for step in steps))
    assert stages == ["plan", "open", "draw", "compose", "encode", "manifest"]
