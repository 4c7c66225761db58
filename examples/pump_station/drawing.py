"""Assembles the drawing, and writes it with the same bytes on every run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ezdxf._options import options
from ezdxf.document import Drawing

from examples.pump_station.details import draw_detail, draw_key_plan
from examples.pump_station.pen import Pen
from examples.pump_station.plan import draw_plan
from examples.pump_station.section import draw_section
from examples.pump_station.sheet import draw_sheet
from examples.pump_station.standards import LETTERING, SCALE, SHEET, new_document
from examples.pump_station.symbols import add_symbols

# Origins of the views on the sheet, in printed millimetres.
PLAN_AT = (95.0, 332.0)
SECTION_AT = (95.0, 180.0)
DETAIL_AT = (84.0, 240.0)
DETAIL_SIZE = 5.0  # a 1:10 detail on a 1:50 sheet

LAYOUT = "GA 1-50"


def draw() -> Drawing:
    """The pump station's general arrangement: a model at full size and a paper-space layout at 1:50 on A1."""
    with _fixed_metadata():
        doc = new_document()
    add_symbols(doc)
    model = doc.modelspace()
    draw_plan(Pen(doc, model, _model(PLAN_AT)))
    draw_section(Pen(doc, model, _model(SECTION_AT)))
    draw_detail(Pen(doc, model, _model(DETAIL_AT), DETAIL_SIZE))
    sheet = Pen(doc, model, size=SCALE)
    draw_sheet(sheet)
    draw_key_plan(sheet)
    _paper(doc)
    return doc


def save(doc: Drawing, path: Path) -> None:
    """Write `doc` as DXF. Raises OSError."""
    for kind in sorted(doc.entitydb.dxf_types_in_use()):
        doc.classes.add_class(kind)  # or ezdxf adds them in the order of a set
    with _fixed_metadata():
        doc.saveas(path)


def _model(point: tuple[float, float]) -> tuple[float, float]:
    return (point[0] * SCALE, point[1] * SCALE)


def _paper(doc: Drawing) -> None:
    width, height = SHEET
    centre = _model((width / 2, height / 2))
    paper = doc.layouts.new(LAYOUT)
    doc.layouts.delete("Layout1")
    paper.dxf.layout_flags = 0  # as $PSLTSCALE sets it for all layouts
    paper.page_setup(size=(int(width), int(height)), margins=(0, 0, 0, 0), units="mm")
    paper.add_viewport(
        center=(width / 2, height / 2),
        size=SHEET,
        view_center_point=centre,
        view_height=height * SCALE,
        dxfattribs={"layer": "G-VPRT"},
    )
    stamp = paper.add_text("PLOTTED AT 1:50 ON A1", height=2.5, dxfattribs={"layer": "G-TEXT", "style": LETTERING})
    stamp.set_placement((22, 1.5))
    doc.set_modelspace_vport(height=height * SCALE, center=centre)


@contextmanager
def _fixed_metadata() -> Iterator[None]:
    """Omit the dates and random GUIDs that make every file different."""
    before = options.write_fixed_meta_data_for_testing
    options.write_fixed_meta_data_for_testing = True
    try:
        yield
    finally:
        options.write_fixed_meta_data_for_testing = before
