"""Raster images: depth, palette, colour space, alpha, page and orientation, in previews and tiles."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image

from tasks.plan import NoSuchPage, plan
from tests.engine.conftest import Render
from workers.render import BlueprintError, Manifest
from workers.render.raster import Pixels
from workers.render.sources import orientation

WIDTH, HEIGHT = 700, 560


def colours() -> Pixels:
    """Return a tinted image with a red band and a black line that differs in each corner."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    pixels = np.stack([columns * 255 // WIDTH, rows * 255 // HEIGHT, np.full((HEIGHT, WIDTH), 40)], 2).astype(np.uint8)
    pixels[100:110] = 255, 0, 0
    pixels[:, 300:304] = 0
    return pixels


def as_vips(pixels: np.ndarray[Any, Any], interpretation: str) -> "pyvips.Image":
    height, width, bands = pixels.shape
    kind = "ushort" if pixels.dtype == np.uint16 else "uchar"
    made = pyvips.Image.new_from_memory(np.ascontiguousarray(pixels).data, width, height, bands, kind)
    return made.copy(interpretation=interpretation)


def shown(out: Path, manifest: Manifest) -> Pixels:
    """Assemble the tiles of the largest level."""
    assert manifest.tiles is not None
    top = manifest.tiles.levels[-1]
    rows = []
    for row in range(top.rows):
        tiles = (out / f"tiles_files/{top.level}/{column}_{row}.webp" for column in range(top.columns))
        rows.append(np.hstack([np.asarray(Image.open(tile).convert("RGB")) for tile in tiles]))
    return np.vstack(rows)


RGB = colours()
GREY = np.ascontiguousarray(RGB[..., :1])
BILEVEL = ((GREY > 128) * 255).astype(np.uint8)
ALPHA = np.where(np.arange(WIDTH) > WIDTH // 2, 255, 0).astype(np.uint8)[np.newaxis, :, np.newaxis]
RGBA = np.concatenate([RGB, np.broadcast_to(ALPHA, (HEIGHT, WIDTH, 1))], 2)
ON_WHITE = np.where(ALPHA > 0, RGB, 255).astype(np.uint8)
AS_GREY, AS_BILEVEL = GREY.repeat(3, 2), BILEVEL.repeat(3, 2)

Save = Callable[[Path], None]

KINDS: dict[str, tuple[str, Save, Pixels, float]] = {
    "rgb tiff": ("a.tif", lambda path: as_vips(RGB, "srgb").tiffsave(str(path)), RGB, 0),
    "rgb tiff in tiles": ("a.tif", lambda path: as_vips(RGB, "srgb").tiffsave(str(path), tile=True), RGB, 0),
    "bigtiff": ("a.tif", lambda path: as_vips(RGB, "srgb").tiffsave(str(path), bigtiff=True), RGB, 0),
    "rgb tiff as jpeg": (
        "a.tif", lambda path: as_vips(RGB, "srgb").tiffsave(str(path), compression="jpeg", Q=95), RGB, 4
    ),
    "16 bit rgb tiff": (
        "a.tif", lambda path: as_vips(RGB.astype(np.uint16) * 257, "rgb16").tiffsave(str(path)), RGB, 0
    ),
    "16 bit grey tiff": (
        "a.tif", lambda path: as_vips(GREY.astype(np.uint16) * 257, "grey16").tiffsave(str(path)), AS_GREY, 0
    ),
    "grey tiff as lzw": ("a.tif", lambda path: as_vips(GREY, "b-w").tiffsave(str(path), compression="lzw"), AS_GREY, 0),
    "4 bit grey tiff": ("a.tif", lambda path: as_vips(GREY, "b-w").tiffsave(str(path), bitdepth=4), AS_GREY, 20),
    "g4 tiff": (
        "a.tif",
        lambda path: as_vips(BILEVEL, "b-w").tiffsave(str(path), compression="ccittfax4", bitdepth=1),
        AS_BILEVEL,
        0,
    ),
    "g3 tiff": ("a.tif", lambda path: Image.fromarray(BILEVEL[..., 0]).convert("1").save(path, compression="group3"),
                AS_BILEVEL, 0),
    "1 bit tiff, 0 is white": (
        "a.tif", lambda path: as_vips(BILEVEL, "b-w").tiffsave(str(path), bitdepth=1, miniswhite=True), AS_BILEVEL, 0
    ),
    "transparent tiff": ("a.tif", lambda path: as_vips(RGBA, "srgb").tiffsave(str(path)), ON_WHITE, 1),
    "16 bit transparent png": (
        "a.png", lambda path: as_vips(RGBA.astype(np.uint16) * 257, "rgb16").pngsave(str(path)), ON_WHITE, 1
    ),
    "cmyk tiff": ("a.tif", lambda path: as_vips(RGB, "srgb").icc_transform("cmyk").tiffsave(str(path)), RGB, 40),
    "cmyk jpeg": ("a.jpg", lambda path: as_vips(RGB, "srgb").icc_transform("cmyk").jpegsave(str(path)), RGB, 40),
    "png": ("a.png", lambda path: as_vips(RGB, "srgb").pngsave(str(path)), RGB, 0),
    "interlaced png": ("a.png", lambda path: as_vips(RGB, "srgb").pngsave(str(path), interlace=True), RGB, 0),
    "1 bit png": ("a.png", lambda path: as_vips(BILEVEL, "b-w").pngsave(str(path), bitdepth=1), AS_BILEVEL, 0),
    "palette png": ("a.png", lambda path: Image.fromarray(AS_BILEVEL).quantize(4).save(path), AS_BILEVEL, 0),
    "palette tiff": ("a.tif", lambda path: Image.fromarray(AS_BILEVEL).quantize(4).save(path), AS_BILEVEL, 0),
    "jpeg": ("a.jpg", lambda path: as_vips(RGB, "srgb").jpegsave(str(path), Q=95), RGB, 4),
    "progressive jpeg": ("a.jpg", lambda path: as_vips(RGB, "srgb").jpegsave(str(path), Q=95, interlace=True), RGB, 4),
    "webp": ("a.webp", lambda path: Image.fromarray(RGB).save(path, lossless=True), RGB, 0),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_given_an_image_of_any_kind_then_its_tiles_show_the_source_pixels(
    tmp_path: Path, out: Path, draw: Render, kind: str
) -> None:
    name, save, expected, tolerance = KINDS[kind]
    save(tmp_path / name)
    manifest = draw(tmp_path / name, tiles=True)
    preview = np.asarray(Image.open(out / "preview.webp").convert("RGB")).astype(int)
    tiles = shown(out, manifest).astype(int)
    assert np.abs(tiles - expected).mean() <= tolerance
    assert np.abs(tiles - preview).mean() <= max(1, tolerance)
    assert (manifest.source.width, manifest.source.height) == (WIDTH, HEIGHT)


UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: pixels[::-1].transpose(1, 0, 2),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: lambda pixels: pixels[:, ::-1].transpose(1, 0, 2),
}


def save_rotated(path: Path, orientation: int) -> Path:
    image = as_vips(RGB, "srgb").copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    image.tiffsave(str(path))
    return path


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_given_an_image_stored_rotated_then_preview_and_tiles_are_upright(
    tmp_path: Path, out: Path, draw: Render, orientation: int
) -> None:
    manifest = draw(save_rotated(tmp_path / "a.tif", orientation), tiles=True)
    expected = UPRIGHT[orientation](RGB)
    preview = np.asarray(Image.open(out / "preview.webp").convert("RGB"))
    assert np.array_equal(shown(out, manifest), expected)
    assert np.abs(preview.astype(int) - expected).mean() < 1
    assert (manifest.source.height, manifest.source.width) == expected.shape[:2]
    assert sorted(path.name for path in out.iterdir()) == [
        "layers", "manifest.json", "preview.webp", "tiles.dzi", "tiles_files"
    ]  # fmt: skip


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_given_a_region_when_rendered_then_preview_and_tiles_are_that_part_of_the_upright_image(
    tmp_path: Path, out: Path, draw: Render, orientation: int
) -> None:
    manifest = draw(save_rotated(tmp_path / "a.tif", orientation), tiles=True, region="1000,2500,6000,7500")
    upright = UPRIGHT[orientation](RGB)
    height, width = upright.shape[:2]
    expected = upright[height // 4 : height * 3 // 4, width // 10 : width * 6 // 10]
    preview = np.asarray(Image.open(out / "preview.webp").convert("RGB"))
    assert np.array_equal(shown(out, manifest), expected)
    assert np.abs(preview.astype(int) - expected).mean() < 1
    assert (manifest.source.height, manifest.source.width) == (height, width)


def test_given_a_region_of_a_scan_when_rendered_then_it_fills_the_width_and_is_not_enlarged(
    tmp_path: Path, draw: Render
) -> None:
    as_vips(RGB, "srgb").pngsave(str(tmp_path / "a.png"))
    small = draw(tmp_path / "a.png", width=175, region="5000,0,10000,10000")
    assert (small.preview.width, small.preview.height) == (109, 175)
    large = draw(tmp_path / "a.png", width=4096, region="5000,0,10000,10000")
    assert (large.preview.width, large.preview.height) == (350, 560)


@pytest.mark.parametrize(("dpi", "width", "warnings"), [(100, 350, []), (200, 700, []), (300, 700, ["not-enlarged"])])
def test_given_a_resolution_when_a_scan_states_its_own_then_the_size_follows(
    tmp_path: Path, draw: Render, dpi: int, width: int, warnings: list[str]
) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.tif", dpi=(200, 200))
    manifest = draw(tmp_path / "a.tif", dpi=dpi)
    assert manifest.preview.width == width
    assert [warning.code for warning in manifest.warnings] == warnings


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg", "a.webp"])
def test_given_a_resolution_when_an_image_does_not_state_its_own_then_it_is_refused(
    tmp_path: Path, draw: Render, name: str
) -> None:
    Image.fromarray(RGB).save(tmp_path / name)
    with pytest.raises(BlueprintError) as caught:
        draw(tmp_path / name, dpi=300)
    assert caught.value.code == "unknown-resolution"
    assert caught.value.message.endswith("Set `width` in pixels instead.")


def test_given_layers_of_a_scan_when_requested_then_only_the_base_exists(tmp_path: Path, draw: Render) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    assert draw(tmp_path / "a.png", layers="base").layers[0].visible
    with pytest.raises(BlueprintError) as caught:
        draw(tmp_path / "a.png", layers="base,Walls")
    assert caught.value.code == "no-such-layer"
    assert caught.value.message == (
        "There is no layer 'Walls': the only layer of a raster image is 'base'. "
        "Leave `layers` empty; set `line_work` to get a scan's ink as a layer."
    )


def test_given_a_preview_above_the_memory_limit_when_requested_then_the_error_says_which_width_fits(
    tmp_path: Path, draw: Render
) -> None:
    (pyvips.Image.black(5000, 5000) + 255).cast("uchar").pngsave(str(tmp_path / "a.png"))
    with pytest.raises(BlueprintError) as caught:
        draw(tmp_path / "a.png", width=5000)
    assert caught.value.message.endswith("Ask for a width of 4000 or less.")
    assert draw(tmp_path / "a.png", width=5000, region="0,0,1000,1000").preview.width == 500


def test_given_a_rotated_image_too_large_for_the_scratch_file_then_it_is_refused_with_advice(
    tmp_path: Path, draw: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orientation, "MAX_SCRATCH_BYTES", 1_000_000)
    path = save_rotated(tmp_path / "a.tif", 6)
    with pytest.raises(BlueprintError) as caught:
        draw(path, tiles=True)
    assert caught.value.code == "too-large"
    assert caught.value.message == (
        "This image of 700 x 560 pixels is stored rotated, and rotating it needs 1.1 MiB of disk. "
        "Save it upright, or render it without tiles."
    )


def test_given_a_tiff_of_two_pages_when_the_second_is_requested_then_its_tiles_are_cut(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    first, second = Image.fromarray(RGB), Image.fromarray(AS_GREY[:300])
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    manifest = draw(tmp_path / "a.tif", tiles=True, page=2)
    assert np.array_equal(shown(out, manifest), AS_GREY[:300])
    assert manifest.source.pages == 2


def test_given_a_tiff_whose_pages_differ_when_planned_then_the_requested_page_counts(tmp_path: Path) -> None:
    small, large = Image.fromarray(RGB[:50, :60]), Image.new("L", (6000, 5000))
    small.save(tmp_path / "a.tif", save_all=True, append_images=[large])
    first, second = (plan(tmp_path / "a.tif", page=page) for page in (1, 2))
    assert ((first.width, first.height), (second.width, second.height)) == ((60, 50), (6000, 5000))
    assert second.peak_bytes > first.peak_bytes
    assert second.seconds > first.seconds
    with pytest.raises(NoSuchPage) as caught:
        plan(tmp_path / "a.tif", page=3)
    assert caught.value.message == "There is no page 3; this TIFF has 2."


def test_given_a_truncated_image_when_tiles_are_written_then_the_message_says_what_to_do(
    tmp_path: Path, draw: Render
) -> None:
    path = tmp_path / "a.png"
    as_vips(RGB, "srgb").pngsave(str(path))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    with pytest.raises(BlueprintError) as caught:
        draw(path, tiles=True)
    assert caught.value.code == "damaged-image"
    assert caught.value.message.endswith("Open it in an editor and save it again.")


def test_given_a_grey_scan_when_line_work_is_requested_then_the_ink_is_a_transparent_layer(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    chance = np.random.default_rng(1)
    paper = chance.normal(230, 3, (HEIGHT, WIDTH, 1)).clip(0, 255)
    paper[200:206, 50:600] = 40
    as_vips(paper.astype(np.uint8), "b-w").pngsave(str(tmp_path / "a.png"))
    manifest = draw(tmp_path / "a.png", line_work=True, tiles=True, layer_tiles=True)
    base, ink = manifest.layers
    assert (base.name, ink.name) == ("base", "line-work")
    assert ink.file is not None
    ink_pixels = np.asarray(Image.open(out / ink.file).convert("RGBA"))
    assert (ink_pixels[200:206, 50:600, 3] > 240).all()
    assert (ink_pixels[200:206, 50:600, :3] < 16).all()
    elsewhere = np.delete(ink_pixels[..., 3], np.s_[198:208], axis=0)
    assert (elsewhere > 32).mean() < 0.005
    assert ink.tiles is not None
    assert ink.tiles.file == "layers/001.dzi"
    assert (out / "layers/001_files/10/0_0.webp").exists()
    assert base.tiles == manifest.tiles


def test_given_white_lines_on_blue_when_line_work_is_requested_then_the_ink_is_white(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    pixels = np.full((HEIGHT, WIDTH, 3), (20, 40, 110), np.uint8)
    pixels[200:206, 50:600] = 235, 240, 250
    as_vips(pixels, "srgb").pngsave(str(tmp_path / "a.png"))
    manifest = draw(tmp_path / "a.png", line_work=True)
    assert manifest.layers[1].file is not None
    ink_pixels = np.asarray(Image.open(out / manifest.layers[1].file).convert("RGBA"))
    assert (ink_pixels[200:206, 50:600] > 250).all()
    assert not ink_pixels[100, :, 3].any()
