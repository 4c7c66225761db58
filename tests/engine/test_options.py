"""Options of a render: size by resolution, regions, chosen layers, line weights, formats."""

from pathlib import Path

import numpy as np
import pytest
from ezdxf.filemanagement import new
from pydantic import ValidationError

from tasks.renders import RenderOptions
from tests.engine.conftest import Render
from tests.engine.drawings import layer_named, pixels, save, text_pdf
from workers.render import BlueprintError


def test_given_a_resolution_and_a_scale_when_rendered_then_a_pixel_is_that_length_on_paper(
    pump: Path, draw: Render
) -> None:
    # 100 mm plus a margin of 1 mm on either side, at 1:2 and 254 dpi: 5 pixels a millimetre
    manifest = draw(pump, dpi=254, scale=2)

    assert manifest.preview.width == 510


def test_given_a_drawing_in_metres_when_rendered_by_resolution_then_its_unit_counts(
    tmp_path: Path, draw: Render
) -> None:
    document = new("R2010")
    document.units = 6
    document.modelspace().add_line((0, 0), (10, 5))

    manifest = draw(save(document, tmp_path / "metres.dxf"), dpi=254, scale=100)

    assert manifest.preview.width == pytest.approx(1020, abs=1)  # 10.2 m at 1:100 are 102 mm


@pytest.mark.parametrize(
    ("unit", "name", "width"), [(21, "ft", 1224), (9, "mil", 16), (99, None, 16), (-1, None, 16), (0, None, 16)]
)
def test_given_rare_or_missing_units_when_rendered_by_resolution_then_a_pixel_is_their_length_on_paper(
    tmp_path: Path, draw: Render, unit: int, name: str | None, width: int
) -> None:
    document = new("R2010")
    document.header["$INSUNITS"] = unit
    document.modelspace().add_line((0, 0), (1, 1))

    manifest = draw(save(document, tmp_path / "units.dxf"), dpi=100)

    assert manifest.source.units == name
    assert manifest.preview.width == width


def test_given_a_region_when_rendered_then_it_fills_the_width_and_shows_what_the_whole_shows_there(
    pump: Path, out: Path, draw: Render
) -> None:
    whole = draw(pump, width=400)
    before = pixels(out / "preview.webp")
    part = draw(pump, width=400, region="0,5000,5000,10000")

    assert part.preview.width == 400
    left, bottom, right, top = whole.source.extents or (0, 0, 0, 0)
    assert part.source.extents == pytest.approx(
        (left, bottom, (left + right) / 2, (bottom + top) / 2), rel=0.01, abs=0.3
    )
    quarter = before[before.shape[0] // 2 :, :200]
    assert (quarter < 128).any() == (pixels(out / "preview.webp") < 128).any()


@pytest.mark.parametrize(
    "region", ["0,0,10001,10000", "5000,0,5050,10000", "6000,0,5000,10000", "1,2,3", "a,b,c,d", "-1,0,9,9"]
)
def test_given_an_invalid_region_when_requested_then_it_is_refused(region: str) -> None:
    with pytest.raises(ValidationError):
        RenderOptions(region=region)


def test_given_chosen_layers_when_rendered_then_only_these_are_drawn_even_if_they_are_off(
    pump: Path, draw: Render
) -> None:
    manifest = draw(pump, width=200, layers=" valves , HIDDEN")

    assert {layer.name for layer in manifest.layers if layer.file} == {"VALVES", "HIDDEN"}
    assert {layer.name for layer in manifest.layers if layer.visible} == {"VALVES", "HIDDEN"}
    assert layer_named(manifest, "PIPES").empty


def test_given_a_layer_that_does_not_exist_when_chosen_then_the_error_lists_the_existing_ones(
    pump: Path, draw: Render
) -> None:
    with pytest.raises(BlueprintError) as caught:
        draw(pump, layers="PIPES,WATER")

    assert caught.value.code == "no-such-layer"
    assert caught.value.message.startswith("There is no layer 'WATER'. Choose from: 0, COLD, Defpoints, HIDDEN,")


def test_given_a_layer_missing_from_the_table_when_chosen_then_only_it_is_drawn(tmp_path: Path, draw: Render) -> None:
    document = new("R2010")
    document.modelspace().add_circle((0, 0), 4, {"layer": "Ghost"})
    document.modelspace().add_circle((0, 0), 9, {"layer": "0"})

    manifest = draw(save(document, tmp_path / "ghost.dxf"), width=64, layers="ghost")

    assert {layer.name for layer in manifest.layers if layer.file} == {"Ghost"}


def test_given_a_line_weight_when_rendered_then_lines_grow_and_hairlines_stay_visible(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    document = new("R2010")
    document.modelspace().add_line((0, 0), (100, 50), {"lineweight": 100})
    source = save(document, tmp_path / "line.dxf")

    def ink(percent: int) -> float:
        draw(source, width=200, line_weight=percent)
        return float((255 - pixels(out / "preview.webp")[..., 0].astype(float)).sum())

    assert ink(200) == pytest.approx(2 * ink(100), rel=0.1)
    assert ink(10) > 0


def test_given_a_png_when_requested_then_preview_and_layers_are_png_and_the_same_every_time(
    pump: Path, out: Path, draw: Render
) -> None:
    manifest = draw(pump, width=100, format="png")
    first = (out / "preview.png").read_bytes()
    draw(pump, width=100, format="png")

    assert manifest.preview.file == "preview.png"
    assert first.startswith(b"\x89PNG")
    assert (out / "preview.png").read_bytes() == first
    assert {Path(layer.file).suffix for layer in manifest.layers if layer.file} == {".png"}


def test_given_lossy_webp_when_requested_for_a_drawing_then_it_is_smaller_in_quality_not_in_size(
    pump: Path, out: Path, draw: Render
) -> None:
    draw(pump, width=300)
    lossless = pixels(out / "preview.webp")
    draw(pump, width=300, format="webp-lossy")

    lossy = pixels(out / "preview.webp")
    assert lossy.shape == lossless.shape
    assert not np.array_equal(lossy, lossless)
    assert b"VP8 " in (out / "preview.webp").read_bytes()[:16]


@pytest.mark.parametrize(
    ("options", "size"), [({"dpi": 144}, (1684, 1190)), ({"width": 421, "region": "0,0,5000,5000"}, (421, 298))]
)
def test_given_a_pdf_when_rendered_by_resolution_or_region_then_its_size_follows(
    tmp_path: Path, draw: Render, options: dict[str, object], size: tuple[int, int]
) -> None:
    manifest = draw(text_pdf(tmp_path / "page.pdf"), **options)

    assert (manifest.preview.width, manifest.preview.height) == pytest.approx(size, abs=1)


@pytest.mark.parametrize(
    ("options", "size"), [({"dpi": 192}, (400, 200)), ({"width": 300, "region": "5000,0,10000,10000"}, (300, 300))]
)
def test_given_an_svg_when_rendered_by_resolution_or_region_then_it_is_drawn_at_that_size(
    tmp_path: Path, out: Path, draw: Render, options: dict[str, object], size: tuple[int, int]
) -> None:
    source = tmp_path / "half.svg"
    source.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="200" height="100">'
        '<rect x="100" width="100" height="100"/></svg>'
    )

    manifest = draw(source, **options)

    assert (manifest.preview.width, manifest.preview.height) == size
    black = (pixels(out / "preview.webp")[..., 0] < 128).mean()
    assert black == pytest.approx(0.5 if "dpi" in options else 1.0, abs=0.01)


def test_given_one_layer_of_tiles_when_requested_then_only_its_tiles_are_written_and_are_the_same_as_among_all(
    pump: Path, out: Path, draw: Render
) -> None:
    every = draw(pump, width=256, tiles=True, layer_tiles=True)
    pipes = layer_named(every, "PIPES")
    tile = f"layers/{pipes.index:03d}_files/8/0_0.webp"
    before = (out / tile).read_bytes()
    for path in (*out.rglob("*.webp"), *out.rglob("*.dzi")):
        path.unlink()

    alone = draw(pump, width=256, tiles=True, tile_layer=pipes.index)

    assert alone.tiles is None
    assert layer_named(alone, "PIPES") == pipes
    others = [layer for layer in alone.layers if layer.index != pipes.index]
    assert {(layer.file, layer.tiles) for layer in others} == {(None, None)}
    assert [layer.empty for layer in alone.layers] == [layer.empty for layer in every.layers]
    assert (out / tile).read_bytes() == before
    assert {path.parts[len(out.parts)] for path in out.rglob("*.webp")} == {"preview.webp", "layers"}
    assert {path.name for path in (out / "layers").glob("*.*")} == {
        f"{pipes.index:03d}.webp",
        f"{pipes.index:03d}.dzi",
    }


def test_given_an_empty_layer_when_its_tiles_are_requested_then_an_error_says_so(pump: Path, draw: Render) -> None:
    with pytest.raises(BlueprintError, match="Layer 77 is empty or does not exist") as refused:
        draw(pump, width=256, tiles=True, tile_layer=77)

    assert refused.value.code == "no-such-layer"
