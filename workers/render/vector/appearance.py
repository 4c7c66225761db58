"""Resolve an entity's appearance from its layer, block and layout: ezdxf's rules, plus conventions of CAD programs."""

from ezdxf.addons.drawing.properties import LayerProperties, RenderContext, layer_key, table_key
from ezdxf.entities.dxfgfx import DXFGraphic
from ezdxf.entities.textstyle import Textstyle

from workers.render.vector.text.font_matching import find_font_face, find_substitute


class BlueprintContext(RenderContext):
    """Adds two conventions to ezdxf's context.

    Layers missing from the layer table get colour 7, as in CAD programs; ezdxf draws them white, even on white. Text
    styles get substitutes for fonts that are not installed.
    """

    def resolve_layer(self, entity: DXFGraphic) -> str:
        """Return the name of the layer that `entity` is drawn on. ezdxf resolves all other properties after it."""
        name = super().resolve_layer(entity)
        key = layer_key(name)
        if key not in self.layers:
            unlisted = self.layers[key] = LayerProperties()
            unlisted.layer, unlisted.has_aci_color_7 = name, True
        return name

    def add_text_style(self, text_style: Textstyle) -> None:
        """Add a style of the table. It names a font file or, in extended data, a font family."""
        super().add_text_style(text_style)
        family, italic, bold = text_style.get_extended_font_data()
        file = text_style.dxf.font
        face = find_substitute(file) if file else find_font_face(family, bold=bold, italic=italic)
        if face:
            self.fonts[table_key(text_style.dxf.name)] = face
