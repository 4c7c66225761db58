"""The example drawing is complete and valid."""

import pytest
from ezdxf.document import Drawing
from ezdxf.entities.insert import Insert

from examples.pump_station.drawing import LAYOUT, draw
from examples.pump_station.standards import LAYERS, SCALE, SHEET


@pytest.fixture(scope="module")
def station() -> Drawing:
    return draw()


def test_given_the_drawing_when_audited_then_ezdxf_finds_no_errors(station: Drawing) -> None:
    auditor = station.audit()
    assert not auditor.errors
    assert not auditor.fixes


def test_given_the_drawing_then_every_visible_layer_has_entities(station: Drawing) -> None:
    model = station.modelspace()
    used = {entity.dxf.layer for entity in model} | {
        attribute.dxf.layer
        for insert in model.query("INSERT")
        if isinstance(insert, Insert)
        for attribute in insert.attribs
    }
    assert used == {rule.name for rule in LAYERS} - {"G-VPRT"}  # viewports are in paper space
    assert len(used) >= 12


def test_given_the_drawing_then_it_has_every_common_type_of_entity(station: Drawing) -> None:
    kinds = {entity.dxftype() for entity in station.modelspace()}
    assert kinds >= {"LWPOLYLINE", "CIRCLE", "ARC", "SPLINE", "TEXT", "MTEXT", "HATCH", "INSERT", "DIMENSION", "LEADER"}
    dimensions = station.modelspace().query("DIMENSION")
    assert {dimension.dxf.dimtype & 7 for dimension in dimensions} == {0, 4}  # linear and radial
    assert {0, 90, -45} <= {dimension.dxf.angle for dimension in dimensions}  # also aligned to a slope
    assert {hatch.dxf.pattern_name for hatch in station.modelspace().query("HATCH")} >= {"ANSI31", "SOLID"}


def test_given_the_blocks_then_their_content_inherits_layer_and_colour_from_the_insert(
    station: Drawing,
) -> None:
    for name in ("PUMP_PLAN", "GATE_VALVE", "CHECK_VALVE", "MOTOR", "MANHOLE", "FLOW_METER", "TITLE_BLOCK"):
        content = list(station.blocks.get(name))
        assert {entity.dxf.layer for entity in content} == {"0"}
        assert {entity.dxf.color for entity in content} == {0}
    inserts = station.modelspace().query("INSERT")
    assert {insert.dxf.rotation for insert in inserts if insert.dxf.name == "GATE_VALVE"} == {0, 90}
    assert len({insert.dxf.xscale for insert in inserts if insert.dxf.name == "GATE_VALVE"}) > 1


def test_given_the_sheet_then_it_fills_an_a1_landscape_sheet_at_its_scale(station: Drawing) -> None:
    from ezdxf.bbox import extents

    box = extents(station.modelspace(), fast=True)
    assert tuple(box.size)[:2] == pytest.approx((SHEET[0] * SCALE, SHEET[1] * SCALE))
    assert LAYOUT in station.layouts
