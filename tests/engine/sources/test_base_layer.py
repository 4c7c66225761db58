"""Raster images, SVG and PDF: one base layer at the requested size."""

from pathlib import Path

import numpy as np
import pytest
import pyvips

from tests.engine.conftest import Render
from tests.engine.drawings import pixels, png, text_pdf
from workers.render import BlueprintError

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {}>{}</svg>'


def _noise(width: int = 320, height: int = 200, bands: int = 3) -> pyvips.Image:
    values = np.random.default_rng(7).integers(0, 255, (height, width, bands), dtype=np.uint8)
    return pyvips.Image.new_from_array(values).copy(interpretation="srgb" if bands > 2 else "b-w")


def _scan(width: int = 1200, height: int = 800) -> pyvips.Image:
    sheet = np.full((height, width), 255, np.uint8)
    sheet[100:104], sheet[:, 300:303] = 0, 0
    return pyvips.Image.new_from_array(sheet).copy(interpretation="b-w")


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("g4.tif", {"compression": "ccittfax4", "bitdepth": 1}),
        ("big.tif", {"bigtiff": True, "tile": True}),
        ("scan.png", {}),
        ("laced.png", {"interlace": True}),
        ("scan.jpg", {}),
        ("scan.webp", {"lossless": True}),
    ],
)
def test_given_a_scan_in_any_container_when_rendered_then_its_lines_are_where_they_were(
    tmp_path: Path, out: Path, draw: Render, name: str, save: dict[str, object]
) -> None:
    _scan().write_to_file(str(tmp_path / name), **save)

    manifest = draw(tmp_path / name, width=600)

    assert (manifest.preview.width, manifest.preview.height) == (600, 400)
    assert (manifest.source.width, manifest.source.height) == (1200, 800)
    image = pixels(out / "preview.webp")
    assert image[50:52, 400].max() < 80
    assert image[200, 150:151].max() < 80
    assert image[300, 500].min() > 240


@pytest.mark.parametrize("space", ["rgb16", "cmyk", "b-w", "grey16"])
def test_given_a_colour_space_when_rendered_then_the_preview_is_rgb_of_the_same_shade(
    tmp_path: Path, out: Path, draw: Render, space: str
) -> None:
    image = (pyvips.Image.black(64, 40) + 200).copy(interpretation="b-w").colourspace("srgb").cast("uchar")
    image.colourspace(space).write_to_file(str(tmp_path / "shade.tif"))

    draw(tmp_path / "shade.tif", width=64)

    assert pixels(out / "preview.webp")[20, 20] == pytest.approx((200, 200, 200), abs=12)


def test_given_a_small_image_when_a_large_preview_is_requested_then_it_is_not_enlarged(
    tmp_path: Path, draw: Render
) -> None:
    _scan(90, 60)
    (tmp_path / "small.png").write_bytes(png(3, 2, (b"\x00" + b"\xff" * 9) * 2))

    manifest = draw(tmp_path / "small.png", width=2048)

    assert (manifest.preview.width, manifest.preview.height) == (3, 2)


def test_given_an_opaque_image_when_rendered_then_the_base_is_the_previews_own_bytes(
    tmp_path: Path, draw: Render
) -> None:
    _scan().pngsave(str(tmp_path / "scan.png"))

    manifest = draw(tmp_path / "scan.png", width=300, background="dark")

    assert [layer.name for layer in manifest.layers] == ["base"]
    assert manifest.layers[0].sha256 == manifest.preview.sha256
    assert manifest.layers[0].extent == (0, 0, 300, 200)


def test_given_an_image_with_transparency_when_rendered_then_the_background_shows_in_the_preview_only(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    holes = pyvips.Image.black(40, 40, bands=4).copy(interpretation="srgb")
    holes.draw_rect([255, 0, 0, 255], 10, 10, 20, 20, fill=True).pngsave(str(tmp_path / "holes.png"))

    draw(tmp_path / "holes.png", width=40, background="dark")

    assert tuple(pixels(out / "preview.webp")[2, 2]) == (33, 40, 48)
    assert tuple(pixels(out / "layers" / "000.webp")[20, 20]) == (255, 0, 0, 255)
    assert pixels(out / "layers" / "000.webp")[2, 2, 3] == 0


def test_given_a_photograph_when_rendered_then_it_is_lossy(tmp_path: Path, out: Path, draw: Render) -> None:
    _noise().resize(4, kernel="cubic").pngsave(str(tmp_path / "photo.png"))

    draw(tmp_path / "photo.png", width=512)

    assert (out / "preview.webp").read_bytes()[12:16] == b"VP8 "


def test_given_a_scan_when_rendered_then_it_is_lossless(tmp_path: Path, out: Path, draw: Render) -> None:
    _scan().pngsave(str(tmp_path / "scan.png"))

    draw(tmp_path / "scan.png", width=512)

    assert (out / "preview.webp").read_bytes()[12:16] == b"VP8L"


def test_given_an_orientation_tag_when_rendered_then_the_preview_is_upright(tmp_path: Path, draw: Render) -> None:
    rotated = _scan(80, 40).copy()
    rotated.set_type(pyvips.GValue.gint_type, "orientation", 6)
    rotated.jpegsave(str(tmp_path / "rotated.jpg"))

    manifest = draw(tmp_path / "rotated.jpg", width=64)

    assert (manifest.preview.width, manifest.preview.height) == (32, 64)


def test_given_a_tiff_of_two_pages_when_the_second_is_requested_then_it_is_drawn(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    pages = (pyvips.Image.black(30, 20) + 255).cast("uchar").join(pyvips.Image.black(30, 20), "vertical").copy()
    pages.set_type(pyvips.GValue.gint_type, "page-height", 20)
    pages.tiffsave(str(tmp_path / "pages.tif"))

    manifest = draw(tmp_path / "pages.tif", width=30, page=2)

    assert manifest.source.pages == 2
    assert pixels(out / "preview.webp").max() == 0


def test_given_a_page_that_does_not_exist_when_requested_then_the_error_says_how_many_there_are(
    tmp_path: Path, draw: Render
) -> None:
    _scan(30, 20).tiffsave(str(tmp_path / "one.tif"))

    with pytest.raises(BlueprintError) as caught:
        draw(tmp_path / "one.tif", page=2)

    assert (caught.value.code, caught.value.message) == ("no-such-page", "There is no page 2; this TIFF has 1.")


def test_given_a_png_with_truncated_pixels_when_rendered_then_it_is_refused(tmp_path: Path, draw: Render) -> None:
    (tmp_path / "short.png").write_bytes(png(100, 100, b"\x00" * 50))

    with pytest.raises(BlueprintError) as caught:
        draw(tmp_path / "short.png")

    assert caught.value.code == "damaged-image"
    assert caught.value.message.startswith("The PNG cannot be decoded (")
    assert caught.value.message.endswith("Open it in an editor and save it again.")


def test_given_a_format_outside_the_list_when_libvips_is_asked_then_it_refuses(tmp_path: Path) -> None:
    (tmp_path / "picture.gif").write_bytes(b"GIF89a\x01\x00\x01\x00\x00\x00\x00;")

    with pytest.raises(pyvips.Error):
        pyvips.Image.new_from_file(str(tmp_path / "picture.gif"))


def test_given_an_svg_when_rendered_then_it_is_drawn_at_the_requested_size(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    (tmp_path / "a.svg").write_text(SVG.format('viewBox="0 0 20 10"', '<rect width="10" height="10" fill="#00f"/>'))

    manifest = draw(tmp_path / "a.svg", width=400)

    assert (manifest.preview.width, manifest.preview.height) == (400, 200)
    image = pixels(out / "preview.webp")
    assert tuple(image[100, 100]) == (0, 0, 255)
    assert tuple(image[100, 300]) == (255, 255, 255)


@pytest.mark.parametrize(
    "body",
    [
        '<image href="file:///etc/passwd" width="9" height="9"/>',
        '<image xlink:href="beside.png" width="9" height="9"/>',
        '<use href="other.svg#part"/>',
        '<image href="http://127.0.0.1:9/x.png" width="9" height="9"/>',
    ],
)
def test_given_an_svg_that_references_another_file_when_rendered_then_it_is_refused(
    tmp_path: Path, draw: Render, body: str
) -> None:
    (tmp_path / "a.svg").write_text(SVG.format('viewBox="0 0 20 10"', body))

    with pytest.raises(BlueprintError) as caught:
        draw(tmp_path / "a.svg", width=64)

    assert caught.value.code == "external-reference"
    assert caught.value.message.endswith("Embed that file in it and send it again.")


def test_given_an_svg_with_hyperlinks_and_embedded_parts_when_rendered_then_it_is_drawn(
    tmp_path: Path, draw: Render
) -> None:
    body = '<defs><g id="p"><rect width="5" height="5"/></g></defs><a href="https://example.org/"><use href="#p"/></a>'
    (tmp_path / "a.svg").write_text(SVG.format('viewBox="0 0 20 10"', body))

    assert not draw(tmp_path / "a.svg", width=64).layers[0].empty


def test_given_a_truncated_svg_when_rendered_then_it_is_refused(tmp_path: Path, draw: Render) -> None:
    (tmp_path / "a.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><rect>')

    with pytest.raises(BlueprintError) as caught:
        draw(tmp_path / "a.svg")

    assert caught.value.code == "damaged-svg"
    assert caught.value.message.startswith("The SVG is not well-formed XML (")


def test_given_a_pdf_when_its_second_page_is_requested_then_it_is_drawn_on_white_paper(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    manifest = draw(text_pdf(tmp_path / "a.pdf", pages=2), width=842, page=2, background="dark")

    assert (manifest.preview.width, manifest.preview.height) == (842, 595)
    assert (manifest.source.width, manifest.source.height, manifest.source.pages) == (1123, 793, 2)
    image = pixels(out / "preview.webp")
    assert image[50, 50].min() == 255
    assert image[98:103, 400].min() < 100


def test_given_a_pdf_on_transparency_when_rendered_then_paper_is_clear(tmp_path: Path, out: Path, draw: Render) -> None:
    draw(text_pdf(tmp_path / "a.pdf"), width=421, background="transparent")

    assert pixels(out / "preview.webp")[20, 20, 3] == 0


def test_given_a_pdf_page_that_does_not_exist_when_requested_then_the_error_says_how_many_there_are(
    tmp_path: Path, draw: Render
) -> None:
    with pytest.raises(BlueprintError) as caught:
        draw(text_pdf(tmp_path / "a.pdf", pages=3), page=4)

    assert (caught.value.code, caught.value.message) == ("no-such-page", "There is no page 4; this PDF has 3.")


def test_given_a_pdf_of_only_a_header_when_rendered_then_it_is_refused(tmp_path: Path, draw: Render) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7\nrubbish\nstartxref\n0\n%%EOF\n")

    with pytest.raises(BlueprintError) as caught:
        draw(tmp_path / "a.pdf")

    assert caught.value.code == "damaged-pdf"
    assert caught.value.message.endswith("Print it to a new PDF.")


def test_given_a_preview_above_the_memory_limit_when_requested_then_the_error_says_which_width_fits(
    tmp_path: Path, draw: Render
) -> None:
    (tmp_path / "a.svg").write_text(SVG.format('viewBox="0 0 10 10"', ""))

    with pytest.raises(BlueprintError) as caught:
        draw(tmp_path / "a.svg", width=8000)

    assert caught.value.code == "too-large"
    assert caught.value.message.endswith("Ask for a width of 4000 or less.")
