"""ezdxf's text engine with twins for fonts that are not installed, and a second font for letters that one lacks."""

from itertools import groupby

from ezdxf.addons.drawing.unified_text_renderer import UnifiedTextRenderer
from ezdxf.fonts import fonts
from ezdxf.fonts.font_face import FontFace
from ezdxf.fonts.fonts import AbstractFont, TrueTypeFont
from ezdxf.fonts.ttfonts import TTFontRenderer
from ezdxf.math import Matrix44
from ezdxf.npshapes import NumpyPath2d

from workers.render.vector.text.font_matching import find_font_face

Run = tuple[AbstractFont, str]


class FallbackTextRenderer(UnifiedTextRenderer):
    """Draws text; afterwards `missing` has the letters that are boxes, for want of a font that has them."""

    def __init__(self) -> None:
        super().__init__()
        self.missing_glyphs: set[str] = set()
        self._fallback_font = self.get_font(FontFace(filename=fonts.font_manager.fallback_font_name()))

    def get_font(self, font_face: FontFace) -> AbstractFont:
        """The font of a face, which may be that of a family without a file; the second font where there is none."""
        if font_face.filename:
            return super().get_font(font_face)
        found = find_font_face(font_face.family, bold=font_face.is_bold, italic=font_face.is_italic)
        return super().get_font(found) if found else self._fallback_font

    def get_text_glyph_paths(self, text: str, font_face: FontFace, cap_height: float = 1.0) -> list[NumpyPath2d]:
        """One path for each letter that leaves ink, in drawing units."""
        font = self.get_font(font_face)
        if _has_glyphs(font, text):
            return font.text_glyph_paths(text, cap_height)
        paths: list[NumpyPath2d] = []
        end = 0.0
        for own, run in self._split_by_font(font, text):
            found = own.text_glyph_paths(run, cap_height)
            for path in found:
                path.transform_inplace(Matrix44.translate(end, 0, 0))
            paths += found
            end += _text_width(own, run, cap_height)
        return paths

    def get_text_line_width(self, text: str, font_face: FontFace, cap_height: float = 1.0) -> float:
        """Width in drawing units; blanks alone have none."""
        font = self.get_font(font_face)
        if _has_glyphs(font, text) or not text.strip():
            return font.text_width_ex(text, cap_height)
        return sum(_text_width(own, run, cap_height) for own, run in self._split_by_font(font, text))

    def _split_by_font(self, font: AbstractFont, text: str) -> list[Run]:
        """The text in pieces of one font each. Letters that none has are left to the first, and noted."""

        def own(letter: str) -> AbstractFont:
            if _has_glyphs(font, letter):
                return font
            if _has_glyphs(self._fallback_font, letter):
                return self._fallback_font
            if letter.isprintable():
                self.missing_glyphs.add(letter)
            return font

        return [(each, "".join(letters)) for each, letters in groupby(text, own)]


def _has_glyphs(font: AbstractFont, text: str) -> bool:
    """Whether a font has all letters of a text. Those of strokes are taken at their word."""
    if not isinstance(font, TrueTypeFont) or not isinstance(font.glyph_cache, TTFontRenderer):
        return True
    return bool(font.glyph_cache.cmap.keys() >= set(map(ord, text)))


def _text_width(font: AbstractFont, text: str, cap_height: float) -> float:
    """Also of blanks, which are nothing only by themselves."""
    if isinstance(font, TrueTypeFont):
        return float(font.glyph_cache.get_text_length(text, cap_height))
    return font.text_width_ex(text, cap_height)
