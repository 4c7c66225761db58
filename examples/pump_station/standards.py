"""Drawing standards of the example: layers, line types, text and dimension styles, like those of a drawing office.

Units are millimetres. Everything that belongs to the paper (text, arrows, symbols, dashes) is given in millimetres
on the printed sheet and multiplied by SCALE in the model.
"""

from dataclasses import dataclass

from ezdxf import units
from ezdxf.document import Drawing
from ezdxf.filemanagement import new

SCALE = 50  # model millimetres a printed millimetre: 1:50
SHEET = (841.0, 594.0)  # A1 landscape, ISO 216
TEXT = 3.0  # ordinary lettering, printed millimetres

LETTERING = "NOTES"
HEADING = "HEADING"
DIMENSIONS = "STATION-50"


@dataclass(frozen=True, slots=True)
class LayerRule:
    """One line of the layer standard: ACI colour, line weight in hundredths of a millimetre, line type."""

    name: str
    colour: int
    weight: int
    linetype: str = "Continuous"
    about: str = ""


# Colours are of a tone that can be read on white and on black.
LAYERS = (
    LayerRule("A-WALL", 7, 60, about="Concrete and masonry in section or plan"),
    LayerRule("A-WALL-PATT", 8, 13, about="Hatching of cut concrete, masonry and soil"),
    LayerRule("A-OPNG", 32, 25, about="Doors, windows, stairs, ladders"),
    LayerRule("S-GRID", 8, 18, "CENTER", "Structural grid"),
    LayerRule("S-CRAN", 22, 35, "PHANTOM", "Monorail and lifting"),
    LayerRule("P-PIPE-SUCT", 150, 35, about="Suction pipework"),
    LayerRule("P-PIPE-DISC", 10, 35, about="Discharge pipework"),
    LayerRule("P-PIPE-CNTR", 8, 13, "CENTER", "Pipe and equipment centrelines"),
    LayerRule("P-VALV", 200, 35, about="Valves and penstocks"),
    LayerRule("P-WATR", 140, 25, "DASHED", "Water levels"),
    LayerRule("M-PUMP", 92, 40, about="Pumps"),
    LayerRule("M-EQPM", 102, 30, about="Motors, base frames, panels and other equipment"),
    LayerRule("E-POWR", 30, 25, "DASHED", "Cable tray, conduits and trenches"),
    LayerRule("I-INST", 220, 25, about="Instruments and their tags"),
    LayerRule("C-DRAN", 122, 25, "HIDDEN", "Floor drainage and sumps"),
    LayerRule("C-SITE", 42, 25, about="Ground, site and access covers"),
    LayerRule("G-DIMS", 132, 18, about="Dimensions and levels"),
    LayerRule("G-TEXT", 7, 25, about="Notes and leaders"),
    LayerRule("G-SYMB", 7, 35, about="Section marks, balloons, north point"),
    LayerRule("G-TABL", 7, 25, about="Parts list, revisions, legend"),
    LayerRule("G-TTLB", 7, 70, about="Frame and title block"),
    LayerRule("G-VPRT", 6, 13, about="Viewports; never plotted"),
    LayerRule("X-SETOUT", 1, 13, "DASHED", "Setting-out lines; switched off"),
    LayerRule("X-SURVEY", 2, 13, about="Survey points; frozen"),
)

# Dashes in printed millimetres: total, then dash (+) and gap (-), as in ISO 128-2.
LINETYPES = {
    "CENTER": ("Centre ____ _ ____", [14.5, 10.0, -1.5, 1.5, -1.5]),
    "DASHED": ("Dashed __ __ __", [4.5, 3.0, -1.5]),
    "HIDDEN": ("Hidden _ _ _ _", [3.0, 2.0, -1.0]),
    "PHANTOM": ("Phantom ____ _ _ ____", [18.0, 10.0, -1.5, 1.5, -1.5, 2.0, -1.5]),
}


def new_document() -> Drawing:
    """An empty R2018 drawing in millimetres with these layers, line types and styles."""
    doc = new("R2018", setup=False)
    doc.units = units.MM
    doc.header["$MEASUREMENT"] = 1
    doc.header["$LTSCALE"] = SCALE
    doc.header["$PSLTSCALE"] = 0  # dashes keep their model length in viewports: SCALE times larger, seen at 1:SCALE
    doc.header["$LWDISPLAY"] = 1
    for name, (description, pattern) in LINETYPES.items():
        doc.linetypes.add(name, pattern, description=description)
    for rule in LAYERS:
        layer = doc.layers.add(rule.name, color=rule.colour, linetype=rule.linetype, lineweight=rule.weight)
        layer.description = rule.about
    doc.layers.get("G-VPRT").dxf.plot = 0
    doc.layers.get("X-SETOUT").off()
    doc.layers.get("X-SURVEY").freeze()
    doc.styles.add(LETTERING, font="LiberationSansNarrow-Regular.ttf")
    doc.styles.add(HEADING, font="LiberationSans-Bold.ttf")
    _dimension_style(doc)
    return doc


def _dimension_style(doc: Drawing) -> None:
    style = doc.dimstyles.add(DIMENSIONS)
    printed = {"dimtxt": 2.5, "dimasz": 2.5, "dimexo": 2.0, "dimexe": 1.5, "dimgap": 0.8, "dimtsz": 1.25, "dimcen": 2.0}
    for attribute, millimetres in printed.items():
        style.dxf.set(attribute, millimetres)
    layer = doc.layers.get("G-DIMS").dxf
    style.dxf.dimclrd = style.dxf.dimclre = style.dxf.dimclrt = layer.color
    style.dxf.dimlwd = style.dxf.dimlwe = layer.lineweight
    style.dxf.dimscale = SCALE
    style.dxf.dimtxsty = LETTERING
    style.dxf.dimtad = 1  # text above the line
    style.dxf.dimtih = 0  # and along it
    style.dxf.dimtoh = 0
    style.dxf.dimdec = 0  # whole millimetres
    style.dxf.dimtofl = 1
