"""Formatted paragraphs (MTEXT), laid out with the fonts that they are drawn in; ezdxf may measure with other fonts."""

from ezdxf.addons.drawing.mtext_complex import ComplexMTextRenderer
from ezdxf.addons.drawing.pipeline import AbstractPipeline
from ezdxf.addons.drawing.properties import Properties, RenderContext
from ezdxf.entities.mtext import MText
from ezdxf.fonts.fonts import AbstractFont
from ezdxf.tools.text import MTextContext
from ezdxf.tools.text_layout import LayoutAlignment, Text

from workers.render.vector.text.glyphs import FallbackTextRenderer


class ParagraphRenderer(ComplexMTextRenderer):
    """ezdxf's renderer, with words and spaces measured by `text_renderer`."""

    def __init__(
        self,
        context: RenderContext,
        pipeline: AbstractPipeline,
        properties: Properties,
        text_renderer: FallbackTextRenderer,
    ) -> None:
        super().__init__(context, pipeline, properties)
        self._text_renderer = text_renderer

    def draw(self, mtext: MText) -> None:
        """Lay out and draw an MTEXT entity."""
        layout = self.layout_engine(mtext)
        layout.place(align=LayoutAlignment(mtext.dxf.attachment_point))
        layout.render(mtext.ucs().matrix)

    def get_font(self, ctx: MTextContext) -> AbstractFont:
        """Return the font, scaled to a cap height of one drawing unit."""
        return self._text_renderer.get_font(ctx.font_face)

    def space_width(self, ctx: MTextContext) -> float:
        """Return the width of a space in drawing units."""
        return float(self.get_font(ctx).space_width() * ctx.cap_height * ctx.width_factor)

    def word(self, text: str, ctx: MTextContext) -> Text:
        """Return the layout cell of a word."""
        cell = super().word(text, ctx)
        assert isinstance(cell, Text)  # noqa: S101 - a test fails if a later ezdxf returns another type
        width = self._text_renderer.get_text_line_width(text, ctx.font_face, ctx.cap_height) * ctx.width_factor
        return Text(width, cell.total_height, cell.valign, cell.stroke, cell.renderer)
