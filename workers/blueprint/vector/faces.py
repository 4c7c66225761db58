"""Which installed font a drawing gets for the one that it asks for: that one, or a free one that sets text as wide.

Debian's package fonts-liberation has the twins of fonts that come with Windows.
"""

from pathlib import PureWindowsPath

from ezdxf.fonts import fonts
from ezdxf.fonts.font_face import FontFace

TWINS = {
    "arial": "Liberation Sans",
    "arial narrow": "Liberation Sans Narrow",
    "courier new": "Liberation Mono",
    "times new roman": "Liberation Serif",
}

# How the files of these families begin, and how they end: whether that is bold and italic.
STEMS = {"arial": "arial", "arialn": "arial narrow", "cour": "courier new", "times": "times new roman"}
CUTS = {
    "": (False, False),
    "b": (True, False),
    "bd": (True, False),
    "i": (False, True),
    "bi": (True, True),
    "z": (True, True),
}
FILES = {f"{stem}{cut}.ttf": (family, *looks) for stem, family in STEMS.items() for cut, looks in CUTS.items()}

STYLES = {(False, False): "Regular", (True, False): "Bold", (False, True): "Italic", (True, True): "Bold Italic"}


def find_twin(file: str) -> FontFace | None:
    """The twin of a font file that is not installed itself."""
    known = FILES.get(PureWindowsPath(file).name.lower())
    if known is None or fonts.font_manager.has_font(file):
        return None
    family, bold, italic = known
    return find_face(family, bold=bold, italic=italic)


def find_face(family: str, *, bold: bool, italic: bool) -> FontFace | None:
    """The installed face of a family, or of its twin."""
    for name in (family, TWINS.get(family.lower(), "")):
        style, weight = STYLES[bold, italic], 700 if bold else 400
        if name and (face := fonts.find_best_match(family=name, style=style, weight=weight, italic=italic)):
            return face
    return None
