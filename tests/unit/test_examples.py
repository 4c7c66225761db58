"""The example drawing is what it says: complete, sound, and the same bytes in every process."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from ezdxf.document import Drawing
from ezdxf.entities.insert import Insert
from ezdxf.filemanagement import readfile

from examples.pump_station.drawing import LAYOUT, draw
from examples.pump_station.standards import LAYERS, SCALE, SHEET
from tasks.plan import plan


@pytest.fixture(scope="module")
def station() -> Drawing:
    return draw()


def test_given_the_drawing_when_audited_then_ezdxf_finds_nothing_to_mend(station: Drawing) -> None:
    auditor = station.audit()
    assert not auditor.errors
    assert not auditor.fixes


def test_given_the_drawing_then_every_layer_that_is_shown_carries_something(station: Drawing) -> None:
    model = station.modelspace()
    used = {entity.dxf.layer for entity in model} | {
        attribute.dxf.layer
        for insert in model.query("INSERT")
        if isinstance(insert, Insert)
        for attribute in insert.attribs
    }
    assert used == {rule.name for rule in LAYERS} - {"G-VPRT"}  # viewports lie in paper space
    assert len(used) >= 12


def test_given_the_drawing_then_it_has_every_kind_of_entity_that_drawings_have(station: Drawing) -> None:
    kinds = {entity.dxftype() for entity in station.modelspace()}
    assert kinds >= {"LWPOLYLINE", "CIRCLE", "ARC", "SPLINE", "TEXT", "MTEXT", "HATCH", "INSERT", "DIMENSION", "LEADER"}
    dimensions = station.modelspace().query("DIMENSION")
    assert {dimension.dxf.dimtype & 7 for dimension in dimensions} == {0, 4}  # linear and radial
    assert {0, 90, -45} <= {dimension.dxf.angle for dimension in dimensions}  # level, upright and aligned to a slope
    assert {hatch.dxf.pattern_name for hatch in station.modelspace().query("HATCH")} >= {"ANSI31", "SOLID"}


def test_given_the_blocks_then_their_content_takes_layer_and_colour_from_where_they_are_inserted(
    station: Drawing,
) -> None:
    for name in ("PUMP_PLAN", "GATE_VALVE", "CHECK_VALVE", "MOTOR", "MANHOLE", "FLOW_METER", "TITLE_BLOCK"):
        content = list(station.blocks.get(name))
        assert {entity.dxf.layer for entity in content} == {"0"}
        assert {entity.dxf.color for entity in content} == {0}
    inserts = station.modelspace().query("INSERT")
    assert {insert.dxf.rotation for insert in inserts if insert.dxf.name == "GATE_VALVE"} == {0, 90}
    assert len({insert.dxf.xscale for insert in inserts if insert.dxf.name == "GATE_VALVE"}) > 1


def test_given_the_sheet_then_it_fills_an_a1_in_landscape_at_its_scale(station: Drawing) -> None:
    from ezdxf.bbox import extents

    box = extents(station.modelspace(), fast=True)
    assert tuple(box.size)[:2] == pytest.approx((SHEET[0] * SCALE, SHEET[1] * SCALE))
    assert LAYOUT in station.layouts


def test_when_written_by_two_processes_then_the_bytes_are_the_same_and_can_be_planned(tmp_path: Path) -> None:
    digests = set()
    for seed in ("1", "2", "3"):
        folder = tmp_path / seed
        subprocess.run(
            [sys.executable, "-m", "examples.pump_station", str(folder)],
            check=True,
            capture_output=True,
            timeout=60,
            env={"PYTHONHASHSEED": seed, "PATH": "", "HOME": str(tmp_path)},
        )
        digests.add(hashlib.sha256((folder / "pump-station.dxf").read_bytes()).hexdigest())
    assert len(digests) == 1
    written = tmp_path / "1" / "pump-station.dxf"
    assert plan(written).layers == len(readfile(written).layers)
    assert str(tmp_path) not in written.read_text()


def test_when_scanned_then_there_is_a_bilevel_sheet_with_ink_and_a_worn_grey_one(
    station: Drawing, tmp_path: Path
) -> None:
    import pyvips

    from examples.pump_station.scan import scan

    bilevel, grey = scan(station, tmp_path, "station")
    sheet = pyvips.Image.new_from_file(str(bilevel))
    assert sheet.get("bits-per-sample") == 1
    assert (sheet.width, sheet.height) == (6622, 4677)  # A1 at 200 dpi
    assert 0.01 < 1 - sheet.avg() / 255 < 0.15  # a drawing is mostly paper
    worn = pyvips.Image.new_from_file(str(grey))
    assert worn.bands == 1
    assert worn.width > 4966  # A1 at 150 dpi, grown by its rotation
    assert worn.extract_area(100, 100, 200, 200).deviate() > 1  # noise, even where nothing is drawn
