"""Variants of DXF: versions, ASCII and binary, whole and streamed, layouts, blocks, hatches."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from ezdxf.document import Drawing
from ezdxf.filemanagement import new

from tests.engine.conftest import Render
from tests.engine.drawings import layer_named, pixels
from workers.render.vector.reader import document

VERSIONS = ("R12", "R2000", "R2004", "R2007", "R2010", "R2013", "R2018")


def _station(version: str) -> Drawing:
    document = new(version, setup=True)
    document.layers.add("PIPES", color=1)
    document.layers.add("TAGS", color=3)
    block = document.blocks.new("PUMP")
    block.add_circle((0, 0), 3)
    block.add_line((-3, 0), (3, 0), {"linetype": "DASHED"})
    block.add_attdef("TAG", (0, -5), height=1)
    space = document.modelspace()
    for number in range(4):
        insert = space.add_blockref("PUMP", (10 * number, 5 * number), {"layer": "PIPES", "rotation": 30 * number})
        insert.add_attrib("TAG", f"P{number}", (10 * number, 5 * number - 5), {"layer": "TAGS", "height": 2})
    space.add_polyline2d([(0, 30), (20, 30, 0, 0, 1), (30, 40)], format="xyseb", dxfattribs={"layer": "PIPES"})
    space.add_text("PUMP STATION", height=3, dxfattribs={"layer": "TAGS", "insert": (0, 45)})
    document.paperspace("Layout1").add_viewport((100, 100), (150, 150), (15, 20), 60, status=2)
    document.paperspace("Layout1").add_line((0, 0), (200, 0))
    return document


def _save(document: Drawing, path: Path, form: Literal["asc", "bin"] = "asc") -> Path:
    document.saveas(path, fmt=form)
    return path


@pytest.mark.parametrize("form", ["asc", "bin"])
@pytest.mark.parametrize("version", VERSIONS)
def test_given_a_version_and_an_encoding_when_rendered_then_the_ink_is_the_same(
    tmp_path: Path, out: Path, draw: Render, version: str, form: Literal["asc", "bin"]
) -> None:
    draw(_save(_station("R2010"), tmp_path / "usual.dxf"), width=300)
    usual = pixels(out / "preview.webp")

    manifest = draw(_save(_station(version), tmp_path / "drawing.dxf", form), width=300)

    assert {layer.name for layer in manifest.layers if layer.file} == {"PIPES", "TAGS"}
    different = (pixels(out / "preview.webp") != usual).any(axis=2).mean()
    assert different < 0.002


@pytest.mark.parametrize("layout", ["", "Layout1"])
@pytest.mark.parametrize("form", ["asc", "bin"])
@pytest.mark.parametrize("version", ["R12", "R2010"])
def test_given_a_drawing_above_the_in_memory_limit_when_streamed_then_every_pixel_is_the_same(
    tmp_path: Path,
    out: Path,
    draw: Render,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    form: Literal["asc", "bin"],
    layout: str,
) -> None:
    source = _save(_station(version), tmp_path / "drawing.dxf", form)
    whole = draw(source, width=300, layout=layout)
    before = pixels(out / "preview.webp")

    monkeypatch.setattr(document, "MAX_IN_MEMORY_BYTES", 0)
    streamed = draw(source, width=300, layout=layout)

    assert streamed.layers == whole.layers
    assert np.array_equal(pixels(out / "preview.webp"), before)


def test_given_a_drawing_of_entities_only_when_streamed_then_every_pixel_is_the_same(
    tmp_path: Path, out: Path, draw: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "drawing.dxf"
    line = ("0", "LINE", "8", "PIPES", "10", "0", "20", "0", "11", "40", "21", "30")
    source.write_text("\n".join(("0", "SECTION", "2", "ENTITIES", *line, "0", "ENDSEC", "0", "EOF", "")))
    draw(source, width=300)
    before = pixels(out / "preview.webp")

    monkeypatch.setattr(document, "MAX_IN_MEMORY_BYTES", 0)
    draw(source, width=300)

    assert np.array_equal(pixels(out / "preview.webp"), before)


def test_given_a_damaged_entity_in_a_streamed_drawing_when_rendered_then_the_rest_is_drawn_with_a_warning(
    tmp_path: Path, draw: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "MAX_IN_MEMORY_BYTES", 0)
    source = _save(_station("R2010"), tmp_path / "drawing.dxf")
    text = source.read_text()
    at = text.index(" 40\n3.0\n", text.index("ENTITIES"))
    source.write_text(text[:at] + " 40\nthree\n" + text[at + len(" 40\n3.0\n") :])

    manifest = draw(source, width=200)

    assert not layer_named(manifest, "PIPES").empty
    assert "Damaged entities were not drawn: 1 TEXT." in {warning.message for warning in manifest.warnings}


def test_given_a_block_inserted_repeatedly_when_rendered_then_each_copy_is_where_a_single_insert_is(
    tmp_path: Path, out: Path, draw: Render
) -> None:
    def drawn(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        document = new("R2010")
        block = document.blocks.new("FLAG")
        block.add_lwpolyline([(0, 0), (0, 8), (5, 6), (0, 4)])
        space = document.modelspace()
        space.add_lwpolyline([(-20, -20), (60, -20), (60, 40), (-20, 40)], close=True)
        for number in range(count):
            place = {"rotation": 40 * number, "xscale": -1, "yscale": 2}
            space.add_blockref("FLAG", (15 * number, 5 * number), place)
        draw(_save(document, tmp_path / "flags.dxf"), width=400)
        return pixels(out / "preview.webp")

    # The first is drawn entity by entity, the second is recorded, the third is copied from the cache.
    one, three = drawn(1), drawn(3)
    document = new("R2010")
    space = document.modelspace()
    space.add_lwpolyline([(-20, -20), (60, -20), (60, 40), (-20, 40)], close=True)
    for number in range(3):
        block = document.blocks.new(f"FLAG{number}")
        block.add_lwpolyline([(0, 0), (0, 8), (5, 6), (0, 4)])
        space.add_blockref(
            f"FLAG{number}", (15 * number, 5 * number), {"rotation": 40 * number, "xscale": -1, "yscale": 2}
        )
    draw(_save(document, tmp_path / "apart.dxf"), width=400)

    assert (one != three).any()
    assert np.abs(pixels(out / "preview.webp").astype(int) - three).max() <= 2


@pytest.mark.parametrize(("distance", "solid"), [(5.0, False), (1e-5, True), (1e-2, True)])
def test_given_a_hatch_with_too_many_lines_when_rendered_then_it_is_filled_deterministically_with_a_warning(
    tmp_path: Path, out: Path, draw: Render, distance: float, solid: bool
) -> None:
    document = new("R2010")
    hatch = document.modelspace().add_hatch()
    hatch.paths.add_polyline_path([(0, 0), (400, 0), (400, 300), (0, 300)], is_closed=True)
    lines = [[45, (0, 0), (-distance, distance), [distance, -distance]]]
    hatch.set_pattern_fill("MINE", definition=lines)
    source = _save(document, tmp_path / "hatch.dxf")

    manifest = draw(source, width=100)
    first = (out / "preview.webp").read_bytes()
    draw(source, width=100)

    assert [warning.code for warning in manifest.warnings] == (["hatches-filled"] if solid else [])
    assert ((pixels(out / "preview.webp")[20:60, 20:80] < 10).all()) == solid
    assert (out / "preview.webp").read_bytes() == first


def test_given_layers_drawn_out_of_order_when_rendered_then_the_manifest_says_that_draw_order_matters(
    tmp_path: Path, draw: Render
) -> None:
    document = new("R2010")
    for name in ("LOW", "HIGH"):
        document.layers.add(name, color=1 if name == "LOW" else 5)
    space = document.modelspace()
    space.add_line((0, 5), (20, 5), {"layer": "HIGH"})
    space.add_solid([(5, 0), (15, 0), (5, 10), (15, 10)], {"layer": "LOW"})

    assert draw(_save(document, tmp_path / "order.dxf"), width=200).draw_order_matters
