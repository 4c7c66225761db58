"""Match the fonts that a drawing names to installed ones: the font itself, or a metric-compatible free font.

Debian's package fonts-liberation has metric-compatible substitutes for fonts of Windows.
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

# Start of the file name and its family; end of the file name and its style (bold, italic).
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
    f"{stem}{suffix}.ttf": (family, *style)
    for stem, family in FILE_STEMS.items()
    for suffix, style in STYLE_SUFFIXES.items()
}

STYLE_NAMES = {(False, False): "Regular", (True, False): "Bold", (False, True): "Italic", (True, True): "Bold Italic"}


def cache_written_at() -> float:
    """Return when ezdxf's font cache was written (Unix time); 0 if there is none."""
    try:
        return (
            (options.xdg_path("XDG_CACHE_HOME", fonts.CACHE_DIRECTORY) / fonts.FONT_MANAGER_CACHE_FILE).stat().st_mtime
        )
    except OSError:
        return 0.0


CACHE_READ_AT = cache_written_at() or time.time()  # age of the cache that ezdxf loaded


@cache
def refresh_fonts() -> None:
    """Detect, once a process, fonts that were added or removed since ezdxf wrote its cache, which it never updates.

    The loaded list may be older than the cache file: a forked child has its parent's.
    """
    with suppress(OSError):  # folders may disappear meanwhile
        changed = folders_changed_at(LINUX_FONT_DIRS)
        if changed > cache_written_at():
            fonts.build_system_font_cache()
        if changed > CACHE_READ_AT:
            fonts.load()


def folders_changed_at(folders: list[str]) -> float:
    """Return when a file was last added to or removed from these folders, recursively (Unix time)."""
    walks = (os.walk(Path(folder).expanduser()) for folder in folders)
    return max((Path(inner).stat().st_mtime for walk in walks for inner, _, _ in walk), default=0.0)


def find_substitute(file: str) -> FontFace | None:
    """Return the substitute for a font file; None if the file is installed or has no known substitute."""
    match = KNOWN_FILES.get(PureWindowsPath(file).name.lower())
    if match is None or fonts.font_manager.has_font(file):
        return None
    family, bold, italic = match
    return find_font_face(family, bold=bold, italic=italic)


def find_font_face(family: str, *, bold: bool, italic: bool) -> FontFace | None:
    """Return the installed font face of a family, or of its substitute."""
    for name in (family, SUBSTITUTES.get(family.lower(), "")):
        style, weight = STYLE_NAMES[bold, italic], 700 if bold else 400
        if name and (face := fonts.find_best_match(family=name, style=style, weight=weight, italic=italic)):
            return face
    return None
