"""PDF pages: regions at any size, and layers (optional content)."""

from pathlib import Path

import numpy as np
import pikepdf
import pytest

from tests.engine.conftest import Render
from tests.engine.drawings import layer_named, pixels, text_pdf
from workers.render import BlueprintError

# A black frame outside all layers, a red square on a visible layer, a blue one on a hidden layer.
CONTENT = b"""
0 0 0 RG 10 10 180 80 re S
/OC /Pipes BDC 1 0 0 rg 20 20 40 40 re f EMC
/OC /Hidden BDC 0 0 1 rg 100 20 40 40 re f EMC
"""


@pytest.fixture
def layered(tmp_path: Path) -> Path:
    document = pikepdf.new()
    document.add_blank_page(page_size=(200, 100))
    groups = [
        document.make_indirect(pikepdf.Dictionary(Type=pikepdf.Name.OCG, Name=name)) for name in ("Pipes", "Hidden")
    ]
    page = document.pages[0]
    page.Resources = pikepdf.Dictionary(Properties=pikepdf.Dictionary(Pipes=groups[0], Hidden=groups[1]))
    page.Contents = document.make_stream(CONTENT)
    document.Root.OCProperties = pikepdf.Dictionary(
        OCGs=pikepdf.Array(groups), D=pikepdf.Dictionary(OFF=pikepdf.Array(groups[1:]))
    )
    path = tmp_path / "layered.pdf"
    document.save(path)
    return path


def test_given_optional_content_when_rendered_then_each_visible_layer_has_its_own_ink(
    layered: Path, out: Path, draw: Render
) -> None:
    manifest = draw(layered, width=200)

    assert [layer.name for layer in manifest.layers] == ["base", "Pipes", "Hidden"]
    assert [layer.visible for layer in manifest.layers] == [True, True, False]
    preview, base = pixels(out / "preview.webp"), pixels(out / "layers/000.webp")
    pipes = pixels(out / "layers/001.webp")
    assert preview[60, 40, :3].tolist() == [255, 0, 0]
    assert preview[60, 120, :3].tolist() == [255, 255, 255]
    assert base[60, 40, 3] == 0
    assert base[10, 100, 3] > 0
    assert pipes[60, 40].tolist() == [255, 0, 0, 255]
    assert (pipes[..., 3] > 0).sum() == pytest.approx(1600, abs=170)


def test_given_layers_requested_by_name_when_rendered_then_the_preview_shows_those(
    layered: Path, out: Path, draw: Render
) -> None:
    manifest = draw(layered, width=200, layers="Hidden")

    preview = pixels(out / "preview.webp")
    assert preview[60, 40, :3].tolist() == [255, 255, 255]
    assert preview[60, 120, :3].tolist() == [0, 0, 255]
    assert not layer_named(manifest, "Pipes").visible


def test_given_a_layer_that_a_pdf_lacks_when_requested_then_the_error_lists_the_existing_ones(
    layered: Path, draw: Render
) -> None:
    with pytest.raises(BlueprintError) as caught:
        draw(layered, layers="Water")

    assert caught.value.message == "There is no layer 'Water'. Choose from: Hidden, Pipes, base."


def test_given_a_region_when_rendered_then_it_is_that_part_drawn_larger(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    source = text_pdf(tmp_path / "page.pdf")
    draw(source, width=842)
    whole = pixels(out / "preview.webp")
    draw(source, width=842, region="0,0,5000,5000")

    part = pixels(out / "preview.webp")
    assert np.argmax((part[400] < 128).any(axis=1)) == pytest.approx(
        2 * np.argmax((whole[200] < 128).any(axis=1)), abs=3
    )


def test_given_tiles_of_a_page_when_cut_then_the_deepest_are_sharper_than_the_preview(
    tmp_path: Path, draw: Render
) -> None:
    manifest = draw(text_pdf(tmp_path / "page.pdf"), width=128, tiles=True)

    assert manifest.tiles is not None
    assert (manifest.tiles.width, manifest.tiles.height) == (1024, 720)


def test_given_a_form_that_is_filled_in_when_rendered_then_its_values_are_shown(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    with pikepdf.new() as document:
        page = document.add_blank_page(page_size=(200, 100))
        look = document.make_stream(b"0 0 1 rg 0 0 100 50 re f")
        look.Type, look.Subtype, look.BBox = pikepdf.Name.XObject, pikepdf.Name.Form, [0, 0, 100, 50]
        widget = pikepdf.Dictionary(
            Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.Widget, FT=pikepdf.Name.Tx, T="title", F=4
        )
        widget.Rect, widget.AP = [0, 0, 100, 50], pikepdf.Dictionary(N=look)
        field = document.make_indirect(widget)
        page.obj.Annots = pikepdf.Array([field])
        document.Root.AcroForm = pikepdf.Dictionary(Fields=pikepdf.Array([field]))
        document.save(tmp_path / "form.pdf")

    draw(tmp_path / "form.pdf", width=200)

    image = pixels(out / "preview.webp")
    assert image[75, 50].tolist() == [0, 0, 255]
    assert image[25, 150].tolist() == [255, 255, 255]
