"""ezdxf's text renderer with substitutes for fonts that are not installed, and a fallback font for missing glyphs."""

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
    """Renders text. `missing_glyphs` collects the characters drawn as boxes, since no font has their glyphs."""

    def __init__(self) -> None:
        super().__init__()
        self.missing_glyphs: set[str] = set()
        self._fallback_font = self.get_font(FontFace(filename=fonts.font_manager.fallback_font_name()))

    def get_font(self, font_face: FontFace) -> AbstractFont:
        """Return the font of a face, which may name a family instead of a file; the fallback font if there is none."""
        if font_face.filename:
            return super().get_font(font_face)
        face = find_font_face(font_face.family, bold=font_face.is_bold, italic=font_face.is_italic)
        return super().get_font(face) if face else self._fallback_font

    def get_text_glyph_paths(self, text: str, font_face: FontFace, cap_height: float = 1.0) -> list[NumpyPath2d]:
        """Return a path, in drawing units, for each character that has ink."""
        font = self.get_font(font_face)
        if _has_glyphs(font, text):
            return font.text_glyph_paths(text, cap_height)
        paths: list[NumpyPath2d] = []
        end = 0.0
        for run_font, run_text in self._split_by_font(font, text):
            glyphs = run_font.text_glyph_paths(run_text, cap_height)
            for path in glyphs:
                path.transform_inplace(Matrix44.translate(end, 0, 0))
            paths += glyphs
            end += _text_width(run_font, run_text, cap_height)
        return paths

    def get_text_line_width(self, text: str, font_face: FontFace, cap_height: float = 1.0) -> float:
        """Return the width in drawing units; 0 for text of spaces only."""
        font = self.get_font(font_face)
        if _has_glyphs(font, text) or not text.strip():
            return font.text_width_ex(text, cap_height)
        return sum(
            _text_width(run_font, run_text, cap_height) for run_font, run_text in self._split_by_font(font, text)
        )

    def _split_by_font(self, font: AbstractFont, text: str) -> list[Run]:
        """Split the text into runs of one font each. Characters that no font has stay in the first and are recorded."""

        def font_of(character: str) -> AbstractFont:
            if _has_glyphs(font, character):
                return font
            if _has_glyphs(self._fallback_font, character):
                return self._fallback_font
            if character.isprintable():
                self.missing_glyphs.add(character)
            return font

        return [(run_font, "".join(characters)) for run_font, characters in groupby(text, font_of)]


def _has_glyphs(font: AbstractFont, text: str) -> bool:
    """Whether a font has glyphs for all characters of a text. Assumed for stroke fonts, which cannot be queried."""
    if not isinstance(font, TrueTypeFont) or not isinstance(font.glyph_cache, TTFontRenderer):
        return True
    return bool(font.glyph_cache.cmap.keys() >= set(map(ord, text)))


def _text_width(font: AbstractFont, text: str, cap_height: float) -> float:
    """Return the width in drawing units, including spaces."""
    if isinstance(font, TrueTypeFont):
        return float(font.glyph_cache.get_text_length(text, cap_height))
    return font.text_width_ex(text, cap_height)
