"""Damaged files that fuzzing found: each is refused with a clear message, or drawn."""

from pathlib import Path

import pytest
from ezdxf.filemanagement import new

from tasks.plan import UnknownFormat, plan
from tests.engine.conftest import Render
from tests.engine.drawings import save
from tests.fuzzing.seeds import seeds
from workers.render import BlueprintError, Step
from workers.render.sources import pdf
from workers.render.vector.reader.document import open_drawing


@pytest.mark.parametrize("encoding", ["UTF-65536", "rotate8", "utf-7", "idna"])
def test_given_svg_in_an_unknown_encoding_when_planned_then_refused(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "drawing.svg"
    path.write_text(f"<?xml version='1.0' encoding='{encoding}'?><svg xmlns='http://www.w3.org/2000/svg'/>")

    with pytest.raises(UnknownFormat):
        plan(path)


def test_given_layer_name_outside_its_encoding_when_rendered_then_manifest_and_steps_can_be_sent(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    document = new("R2010")
    document.layers.add("PIPES")
    document.modelspace().add_line((0, 0), (9, 5), {"layer": "PIPES"})
    path = save(document, tmp_path / "drawing.dxf")
    path.write_bytes(path.read_bytes().replace(b"PIPES", b"PI\x9cES"))
    steps: list[Step] = []

    draw(path, steps, width=64)

    assert "PI?ES" in (out / "manifest.json").read_text()
    assert "PI?ES" in {step.layer for step in steps}


def test_given_error_that_quotes_a_drawing_then_its_message_can_be_sent() -> None:
    error = BlueprintError("damaged-dxf", "Invalid handle \udc9d.")

    assert error.message == str(error) == "Invalid handle ?."


@pytest.mark.parametrize("length", range(4_000, 4_032))
def test_given_binary_dxf_cut_anywhere_when_opened_then_refused_as_damaged(tmp_path: Path, length: int) -> None:
    path = tmp_path / "drawing.dxf"
    path.write_bytes(seeds("dxf-binary")[0][:length])

    with pytest.raises(BlueprintError) as caught:
        open_drawing(path)

    assert caught.value.code == "damaged-dxf"
    assert "Invalid group code" not in caught.value.message


@pytest.mark.parametrize("content", [b"", b"0\nSECTION\n2\nHEADER\n9\n$ACADVER\n", b"0\nSECTION\n2\nHEADER\n9\n"])
def test_given_dxf_that_ends_in_its_header_when_opened_then_recovered(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "drawing.dxf"
    path.write_bytes(content)

    assert [warning.code for warning in open_drawing(path).warnings] == ["recovered"]


def test_given_pdf_whose_layers_cannot_be_switched_when_rendered_then_the_page_is_delivered(
    tmp_path: Path, draw: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "drawing.pdf"
    path.write_bytes(seeds("pdf")[1])
    monkeypatch.setattr(pdf, "with_visible_groups", lambda _content, _visible: b"not a PDF")

    manifest = draw(path, width=64)

    assert [bool(layer.error) for layer in manifest.layers if layer.visible] == [True, True]


@pytest.mark.parametrize("place", ["nan", "inf", "1e300"])
def test_given_a_block_inserted_at_invalid_coordinates_when_rendered_then_the_others_are_drawn(
    tmp_path: Path, draw: Render, place: str
) -> None:
    document = new("R2010")
    block = document.blocks.new("PUMP")
    block.add_circle((0, 0), 5)
    for x in (0, 30, 60, 77777):
        document.modelspace().add_blockref("PUMP", (x, 0))
    path = save(document, tmp_path / "drawing.dxf")
    path.write_text(path.read_text().replace("77777.0", place))

    manifest = draw(path, width=64)

    assert manifest.source.extents is not None
    assert manifest.source.extents[2] < 70
    assert "invalid-coordinates" in [warning.code for warning in manifest.warnings]


@pytest.mark.parametrize("scale", ["nan", "-1.0", "0.0", (1.0, 2.0)])
def test_given_an_invalid_linetype_scale_when_rendered_then_it_counts_as_one(
    tmp_path: Path, draw: Render, out: Path, scale: object
) -> None:
    document = new("R2010", setup=True)
    document.modelspace().add_line((0, 0), (50, 10), {"linetype": "DASHED"})
    draw(save(document, tmp_path / "whole.dxf"), width=64)
    expected = (out / "preview.webp").read_bytes()
    document.header["$LTSCALE"] = 7.0
    path = save(document, tmp_path / "drawing.dxf")
    damaged = f" 10\n{scale[0]}\n 20\n{scale[1]}\n" if isinstance(scale, tuple) else f" 40\n{scale}\n"
    text = path.read_text()
    assert "$LTSCALE\n 40\n7.0\n" in text
    path.write_text(text.replace("$LTSCALE\n 40\n7.0\n", f"$LTSCALE\n{damaged}"))

    draw(path, width=64)

    assert (out / "preview.webp").read_bytes() == expected


def test_given_a_drawing_without_a_model_space_when_rendered_then_refused_with_advice(
    tmp_path: Path, draw: Render
) -> None:
    document = new("R2010")
    document.modelspace().add_line((0, 0), (9, 5))
    path = save(document, tmp_path / "drawing.dxf")
    path.write_text(path.read_text().replace("\nModel\n", "\nModem\n"))

    with pytest.raises(BlueprintError, match="run AUDIT") as caught:
        draw(path, width=64)

    assert caught.value.code == "damaged-dxf"


def test_given_a_viewport_that_shows_nothing_when_rendered_then_the_rest_of_the_layout_is_drawn(
    tmp_path: Path, draw: Render
) -> None:
    document = new("R2010")
    document.modelspace().add_line((0, 0), (9, 5))
    layout = document.paperspace("Layout1")
    layout.add_line((0, 0), (100, 50))
    layout.add_viewport((50, 25), (77777, 20), (5, 2), 10)
    path = save(document, tmp_path / "drawing.dxf")
    path.write_text(path.read_text().replace("77777.0", "nan"))

    manifest = draw(path, width=64, layout="Layout1")

    assert [layer.name for layer in manifest.layers if not layer.empty] == ["0"]


def test_given_lines_with_billions_of_dashes_when_rendered_then_they_are_drawn_solid_with_a_warning(
    tmp_path: Path, draw: Render
) -> None:
    document = new("R2010", setup=True)
    for linetype in ("CONTINUOUS", "DASHED"):
        document.layers.add(linetype, linetype=linetype)
        document.modelspace().add_line((0, 0), (1e9, 1e8), {"layer": linetype})
        document.modelspace().add_circle((5e8, 5e8), 4e8, {"layer": linetype})

    manifest = draw(save(document, tmp_path / "drawing.dxf"), width=256)

    assert [(warning.code, warning.message) for warning in manifest.warnings] == [
        ("lines-drawn-solid", "Lines with too many dashes were drawn solid: 2.")
    ]
    whole, dashed = (layer for layer in manifest.layers if layer.file)
    assert whole.extent == dashed.extent
    assert whole.sha256 == dashed.sha256


def test_given_a_dashed_line_when_rendered_then_it_has_dashes(tmp_path: Path, draw: Render) -> None:
    document = new("R2010", setup=True)
    for linetype in ("CONTINUOUS", "DASHED"):
        document.layers.add(linetype, linetype=linetype)
        document.modelspace().add_line((0, 0), (20, 5), {"layer": linetype})

    manifest = draw(save(document, tmp_path / "drawing.dxf"), width=256)

    whole, dashed = (layer for layer in manifest.layers if layer.file)
    assert manifest.warnings == []
    assert whole.sha256 != dashed.sha256
