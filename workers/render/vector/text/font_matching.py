"""Which installed font a drawing gets for the one that it asks for: that one, or a free one that sets text as wide.

Debian's package fonts-liberation has the twins of fonts that come with Windows.
"""

import os
import time
from contextlib import suppress
from functools import cache
from pathlib import Path, PureWindowsPath

from ezdxf import options  # type: ignore[attr-defined] # as its documentation does
from ezdxf.fonts import fonts
from ezdxf.fonts.font_face import FontFace
from ezdxf.fonts.font_manager import LINUX_FONT_DIRS

SUBSTITUTES = {
    "arial": "Liberation Sans",
    "arial narrow": "Liberation Sans Narrow",
    "courier new": "Liberation Mono",
    "times new roman": "Liberation Serif",
}

# How the files of these families begin, and how they end: whether that is bold and italic.
FILE_STEMS = {"arial": "arial", "arialn": "arial narrow", "cour": "courier new", "times": "times new roman"}
STYLE_SUFFIXES = {
    "": (False, False),
    "b": (True, False),
    "bd": (True, False),
    "i": (False, True),
    "bi": (True, True),
    "z": (True, True),
}
KNOWN_FILES = {
    f"{stem}{cut}.ttf": (family, *looks) for stem, family in FILE_STEMS.items() for cut, looks in STYLE_SUFFIXES.items()
}

STYLE_NAMES = {(False, False): "Regular", (True, False): "Bold", (False, True): "Italic", (True, True): "Bold Italic"}


def cache_written_at() -> float:
    """When ezdxf's list of fonts was written, in seconds since 1970; 0 where it could not be."""
    try:
        return (
            (options.xdg_path("XDG_CACHE_HOME", fonts.CACHE_DIRECTORY) / fonts.FONT_MANAGER_CACHE_FILE).stat().st_mtime
        )
    except OSError:
        return 0.0


CACHE_READ_AT = cache_written_at() or time.time()  # when what ezdxf has read was written


@cache
def refresh_fonts() -> None:
    """Look once a process for fonts that came or went since ezdxf wrote its list of them, which it never does again.

    The list may be older than its file: a forked child has that of its parent.
    """
    with suppress(OSError):  # folders may go meanwhile
        changed = folders_changed_at(LINUX_FONT_DIRS)
        if changed > cache_written_at():
            fonts.build_system_font_cache()
        if changed > CACHE_READ_AT:
            fonts.load()


def folders_changed_at(folders: list[str]) -> float:
    """When a file in one of these folders, or below, came or went last; seconds since 1970."""
    walks = (os.walk(Path(folder).expanduser()) for folder in folders)
    return max((Path(inner).stat().st_mtime for walk in walks for inner, _, _ in walk), default=0.0)


def find_substitute(file: str) -> FontFace | None:
    """The twin of a font file that is not installed itself."""
    known = KNOWN_FILES.get(PureWindowsPath(file).name.lower())
    if known is None or fonts.font_manager.has_font(file):
        return None
    family, bold, italic = known
    return find_font_face(family, bold=bold, italic=italic)


def find_font_face(family: str, *, bold: bool, italic: bool) -> FontFace | None:
    """The installed face of a family, or of its twin."""
    for name in (family, SUBSTITUTES.get(family.lower(), "")):
        style, weight = STYLE_NAMES[bold, italic], 700 if bold else 400
        if name and (face := fonts.find_best_match(family=name, style=style, weight=weight, italic=italic)):
            return face
    return None
