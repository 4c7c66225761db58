"""ezdxf's text engine, which takes note of letters that a font lacks: they are drawn as boxes."""

from ezdxf.addons.drawing.unified_text_renderer import UnifiedTextRenderer
from ezdxf.fonts.font_face import FontFace
from ezdxf.fonts.fonts import TrueTypeFont
from ezdxf.fonts.ttfonts import TTFontRenderer
from ezdxf.npshapes import NumpyPath2d


class Lettering(UnifiedTextRenderer):
    """Draws text; afterwards `missing` has the letters that each font lacks, by the font's file name."""

    def __init__(self) -> None:
        super().__init__()
        self.missing: dict[str, set[str]] = {}
        self._drawn: dict[str, set[str]] = {}

    def get_text_glyph_paths(self, text: str, font_face: FontFace, cap_height: float = 1.0) -> list[NumpyPath2d]:
        """One path a letter, in drawing units."""
        font = self.get_font(font_face)
        if isinstance(font, TrueTypeFont) and isinstance(font.glyph_cache, TTFontRenderer):
            drawn = self._drawn.setdefault(font.name, set())
            fresh = set(text) - drawn
            drawn |= fresh
            if lacking := {
                letter for letter in fresh if letter.isprintable() and ord(letter) not in font.glyph_cache.cmap
            }:
                self.missing.setdefault(font.name, set()).update(lacking)
        return super().get_text_glyph_paths(text, font_face, cap_height)
