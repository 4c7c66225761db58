"""SVG: groups become layers, regions are drawn alone, and no other file is read."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.plan import plan
from tests.engine.conftest import Render
from tests.engine.drawings import layer_named, pixels
from workers.render import BlueprintError, Manifest
from workers.render.raster import Pixels

NAMES = (
    'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape"'
)
LAYER = 'inkscape:groupmode="layer" inkscape:label'
INKSCAPE = f"""<svg {NAMES} width="200" height="100">
<defs><linearGradient id="fade"><stop stop-color="#f00"/><stop offset="1" stop-color="#00f"/></linearGradient></defs>
<g {LAYER}="Walls" id="layer1" opacity=".8"><rect x="10" y="10" width="60" height="60" fill="url(#fade)"/>
  <g id="door"><circle cx="40" cy="40" r="20"/></g></g>
<g id="loose"><path d="M0 50 H200" stroke="#0a0" stroke-width="3"/></g>
<g {LAYER}="Pipes &amp; valves" id="layer2"><use xlink:href="#door" x="60"/>
  <rect x="50" y="30" width="60" height="30" fill="#fc0" fill-opacity=".5"/></g>
<g {LAYER}="Notes" id="layer3" style="fill:#f0f;display:none"><rect x="150" y="10" width="30" height="30"/></g>
<g {LAYER}="Empty" id="layer4"/>
</svg>"""


def drawing(folder: Path, text: str) -> Path:
    path = folder / "a.svg"
    path.write_text(text)
    return path


def composed(out: Path, manifest: Manifest) -> Pixels:
    """Compose the layers on white in the manifest's order."""
    sheet = np.full((manifest.preview.height, manifest.preview.width, 3), 255.0)
    for layer in manifest.layers:
        if layer.file and layer.extent:
            x, y, width, height = layer.extent
            drawn = np.asarray(Image.open(out / layer.file).convert("RGBA")).astype(float)
            alpha = drawn[..., 3:] / 255
            below = sheet[y : y + height, x : x + width]
            below[:] = drawn[..., :3] * alpha + below * (1 - alpha)
    return sheet.round().astype(np.uint8)


def test_given_inkscape_layers_when_rendered_then_each_is_a_cropped_image_in_drawing_order(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    manifest = draw(drawing(tmp_path, INKSCAPE), width=400)

    assert [layer.name for layer in manifest.layers] == ["Walls", "base", "Pipes & valves", "Notes", "Empty"]
    assert [layer.visible for layer in manifest.layers] == [True, True, True, False, True]
    assert [layer.empty for layer in manifest.layers] == [False, False, False, True, True]
    assert layer_named(manifest, "Walls").extent == (20, 20, 120, 120)
    assert layer_named(manifest, "base").extent == (0, 97, 400, 6)
    assert pixels(out / "layers/000.webp").shape == (120, 120, 4)
    assert plan(tmp_path / "a.svg").layers == 5


def test_given_layers_when_stacked_then_they_look_like_the_preview(tmp_path: Path, out: Path, draw: Render) -> None:
    manifest = draw(drawing(tmp_path, INKSCAPE), width=1000)

    difference = np.abs(composed(out, manifest).astype(int) - pixels(out / "preview.webp")[..., :3])
    assert difference.max() <= 3
    assert not manifest.draw_order_matters


def test_given_a_hidden_layer_when_requested_then_it_is_drawn_alone(tmp_path: Path, out: Path, draw: Render) -> None:
    source = drawing(tmp_path, INKSCAPE)
    draw(source, width=200)
    assert tuple(pixels(out / "preview.webp")[20, 160]) == (255, 255, 255)

    manifest = draw(source, width=200, layers="Notes")

    preview = pixels(out / "preview.webp")
    assert tuple(preview[20, 160]) == (255, 0, 255)
    assert tuple(preview[40, 40]) == (255, 255, 255)
    assert {layer.name for layer in manifest.layers if layer.file} == {"Notes"}


def test_given_a_layer_that_does_not_exist_when_requested_then_the_error_lists_the_existing_ones(
    tmp_path: Path, draw: Render
) -> None:
    with pytest.raises(BlueprintError) as caught:
        draw(drawing(tmp_path, INKSCAPE), layers="Water")

    assert caught.value.code == "no-such-layer"
    assert caught.value.message == (
        "There is no layer 'Water'. Choose from: Empty, Notes, Pipes & valves, Walls, base."
    )


def test_given_named_groups_when_rendered_then_they_become_layers_and_the_rest_keeps_its_position(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    body = (
        '<rect width="20" height="10" fill="#eee"/><g id="a"><rect width="8" height="8"/></g>'
        '<rect x="4" width="8" height="8" fill="#f00"/><g><rect x="15" width="2" height="2"/></g>'
        '<g id="b" display="none"/><title>none</title><g id="c"><circle cx="8" cy="4" r="3" fill="#00f"/></g>'
    )
    manifest = draw(drawing(tmp_path, f'<svg {NAMES} viewBox="0 0 20 10">{body}</svg>'), width=200)

    assert [layer.name for layer in manifest.layers] == ["base", "a", "base 2", "b", "c"]
    difference = np.abs(composed(out, manifest).astype(int) - pixels(out / "preview.webp")[..., :3])
    assert difference.max() <= 3


@pytest.mark.parametrize("body", ['<g id="only"><rect width="9" height="9"/></g>', "<g/><g/>", ""])
def test_given_fewer_than_two_named_groups_when_rendered_then_only_the_base_exists(
    tmp_path: Path, draw: Render, body: str
) -> None:
    source = drawing(tmp_path, f'<svg {NAMES} viewBox="0 0 20 10">{body}</svg>')

    assert [layer.name for layer in draw(source, width=100).layers] == ["base"]
    assert plan(source).layers == 1


def test_given_more_groups_than_the_limit_when_rendered_then_they_are_drawn_as_one(
    tmp_path: Path, draw: Render
) -> None:
    body = "".join(f'<g id="g{number}"><path d="M0 {number} h9"/></g>' for number in range(257))

    manifest = draw(drawing(tmp_path, f'<svg {NAMES} viewBox="0 0 20 10">{body}</svg>'), width=100)

    assert [layer.name for layer in manifest.layers] == ["base"]


def test_given_a_style_sheet_inside_a_layer_when_others_are_drawn_then_it_applies_to_them(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    body = '<g id="a"><style>.red { fill: #f00 }</style><rect width="4" height="4"/></g>'
    body += '<g id="b"><rect class="red" x="10" width="4" height="4"/></g>'

    draw(drawing(tmp_path, f'<svg {NAMES} viewBox="0 0 20 10">{body}</svg>'), width=200)

    assert tuple(pixels(out / "layers/001.webp")[10, 10][:3]) == (255, 0, 0)


def test_given_layers_that_blend_when_rendered_then_the_manifest_says_that_order_matters(
    tmp_path: Path, draw: Render
) -> None:
    body = '<g id="a"><rect width="9" height="9"/></g><g id="b" style="mix-blend-mode:multiply"><rect width="9"/></g>'

    assert draw(drawing(tmp_path, f'<svg {NAMES} viewBox="0 0 9 9">{body}</svg>'), width=64).draw_order_matters


PREFIXED = """<s:svg xmlns:s="http://www.w3.org/2000/svg" width="20" height="10">
<s:g id="a"><s:rect width="10" height="10" fill="#00f"/></s:g><s:g id="b"/></s:svg>"""
SPACED = f"""<?xml version="1.0"?><!-- > --><svg {NAMES} width="20px" height = '10px'>
<g id="a" class="a > b"><rect width="10" height="10" fill="#00f"/></g><g id="b"></g ></svg >"""


@pytest.mark.parametrize("text", [PREFIXED, SPACED])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_given_an_svg_with_another_syntax_when_rendered_then_its_layers_are_the_same(
    tmp_path: Path, out: Path, draw: Render, text: str, encoding: str
) -> None:
    (tmp_path / "a.svg").write_bytes(text.encode(encoding))

    manifest = draw(tmp_path / "a.svg", width=200)

    assert [layer.name for layer in manifest.layers] == ["a", "b"]
    assert manifest.layers[0].extent == (0, 0, 100, 100)
    assert tuple(pixels(out / "preview.webp")[50, 50]) == (0, 0, 255)


def test_given_an_svg_without_a_namespace_when_rendered_then_it_is_refused(tmp_path: Path, draw: Render) -> None:
    with pytest.raises(BlueprintError) as caught:
        draw(drawing(tmp_path, '<svg width="9" height="9"/>'))

    assert caught.value.code == "damaged-svg"
    assert caught.value.message.startswith('The SVG lacks xmlns="http://www.w3.org/2000/svg".')


def test_given_a_page_of_an_svg_when_requested_then_the_error_says_that_there_is_one(
    tmp_path: Path, draw: Render
) -> None:
    with pytest.raises(BlueprintError) as caught:
        draw(drawing(tmp_path, INKSCAPE), page=2)

    assert caught.value.message == "There is no page 2; an SVG has one."


@pytest.mark.parametrize("region", ["2500,2500,7500,7500", "0,0,5000,10000", "9000,9000,10000,10000"])
@pytest.mark.parametrize("attributes", ['width="400" height="200"', 'width="400" height="200" viewBox="5 5 70 70"'])
def test_given_a_region_when_rendered_then_it_is_that_part_of_the_whole(
    tmp_path: Path, out: Path, draw: Render, region: str, attributes: str
) -> None:
    body = '<rect width="100%" height="100%" fill="#cdf"/><path d="M0 0 L400 200 M0 90 H90" stroke="#000"/>'
    source = drawing(tmp_path, f"<svg {NAMES} {attributes}>{body}</svg>")
    draw(source, dpi=960)
    whole = pixels(out / "preview.webp")[..., :3].astype(int)

    draw(source, dpi=960, region=region)

    left, top, right, bottom = (int(part) for part in region.split(","))
    expected = whole[top // 5 : bottom // 5, left * 2 // 5 : right * 2 // 5]
    difference = np.abs(pixels(out / "preview.webp")[..., :3].astype(int) - expected)
    assert difference.max() <= 24  # antialiasing rounds edges differently
    assert difference.mean() < 0.05


STRIPES = "".join(f'<path d="M{at} 0 L{400 - at} 200" stroke="#036"/>' for at in range(0, 400, 25))


def deepest(folder: Path) -> Pixels:
    """Assemble the tiles of the largest level, as RGBA."""
    level = max(folder.iterdir(), key=lambda level: int(level.name))
    places = [tuple(map(int, tile.stem.split("_"))) for tile in level.iterdir()]
    columns, rows = (max(numbers) + 1 for numbers in zip(*places, strict=True))
    return np.vstack(
        [np.hstack([pixels(level / f"{column}_{row}.webp") for column in range(columns)]) for row in range(rows)]
    )


@pytest.mark.parametrize("region", ["0,0,10000,10000", "2500,2500,7500,7500"])
def test_given_an_svg_when_cut_into_tiles_then_each_level_is_drawn_at_its_resolution(
    tmp_path: Path, out: Path, draw: Render, region: str
) -> None:
    source = drawing(tmp_path, f'<svg {NAMES} width="400" height="200">{STRIPES}</svg>')
    draw(source, width=144, tiles=True, region=region)
    tiles = deepest(out / "tiles_files").astype(int)

    draw(source, width=8 * 144, region=region)

    difference = np.abs(tiles - pixels(out / "preview.webp"))
    assert difference.max() <= 24
    assert difference.mean() < 0.05


def test_given_an_svg_with_layers_when_cut_into_tiles_then_each_shows_its_own(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    source = drawing(tmp_path, INKSCAPE)
    draw(source, width=100, tiles=True, layer_tiles=True)
    tiles = deepest(out / "layers/000_files")[..., 3].astype(int)

    walls = layer_named(draw(source, width=800), "Walls")

    assert walls.extent
    left, top, width, height = walls.extent
    assert not tiles.sum() - tiles[top : top + height, left : left + width].sum()
    assert np.abs(tiles[top : top + height, left : left + width] - pixels(out / str(walls.file))[..., 3]).max() <= 24


def test_given_a_blurred_svg_when_cut_into_tiles_then_rows_are_not_blurred_separately(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    blur = '<filter id="f"><feGaussianBlur stdDeviation="9"/></filter><rect width="300" height="99" filter="url(#f)"/>'

    manifest = draw(drawing(tmp_path, f'<svg {NAMES} width="400" height="200">{blur}</svg>'), width=600, tiles=True)

    assert manifest.tiles
    assert (manifest.tiles.width, manifest.tiles.height) == (600, 300)
    difference = np.abs(deepest(out / "tiles_files").astype(int) - pixels(out / "preview.webp"))
    assert difference.max() <= 24  # each tile is encoded separately


def test_given_a_long_svg_when_cut_into_tiles_then_the_zoom_is_limited(
    tmp_path: Path, draw: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f'<svg {NAMES} width="400" height="200">{STRIPES}</svg>'
    monkeypatch.setattr("workers.render.sources.svg.MAX_ZOOMED_BYTES", 3 * len(text))

    manifest = draw(drawing(tmp_path, text), width=100, tiles=True)

    assert manifest.tiles
    assert manifest.tiles.width == 300


def test_given_a_small_region_at_a_high_resolution_when_rendered_then_only_its_pixels_are_drawn(tmp_path: Path) -> None:
    source = drawing(tmp_path, INKSCAPE.replace('width="200" height="100"', 'width="4000" height="2000"'))
    code = (
        "import sys; from pathlib import Path; from tasks.renders import RenderOptions\n"
        "from workers.render import render; from workers.sandbox.process_stats import peak_resident_memory\n"
        "options = RenderOptions(dpi=2400, region='100,100,200,200')\n"
        "made = render(Path(sys.argv[1]), Path(sys.argv[2]), options)\n"
        "print(made.preview.width, made.preview.height, peak_resident_memory())"
    )
    (tmp_path / "out").mkdir()

    argv = [sys.executable, "-c", code, str(source), str(tmp_path / "out")]
    result = subprocess.run(argv, capture_output=True, text=True, check=True)

    width, height, peak = (int(word) for word in result.stdout.split())
    assert (width, height) == (1000, 500)  # of 100,000 x 50,000
    assert peak < 160 * 1024**2


def test_given_a_size_in_the_roots_style_when_rendered_then_it_does_not_enlarge_the_drawing(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    style = "max-width:100%;width:300px;stroke-width:2;height: 150px"
    content = '<rect width="50" height="50"/>'

    draw(drawing(tmp_path, f'<svg {NAMES} viewBox="0 0 100 50" style="{style}">{content}</svg>'), width=100)

    assert np.flatnonzero(pixels(out / "preview.webp")[25, :, 0] < 128).max() == pytest.approx(50, abs=1)
