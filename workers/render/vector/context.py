"""What an entity looks like by its layer, block and layout: ezdxf's rules, and what drawings take for granted."""

from ezdxf.addons.drawing.properties import LayerProperties, RenderContext, layer_key, table_key
from ezdxf.entities.dxfgfx import DXFGraphic
from ezdxf.entities.textstyle import Textstyle

from workers.render.vector.text.font_matching import find_font_face, find_substitute


class BlueprintContext(RenderContext):
    """Gives layers that the table lacks colour 7, as CAD programs do; ezdxf draws them white, on white as well. Text
    styles get the twins of fonts that are not installed."""

    def resolve_layer(self, entity: DXFGraphic) -> str:
        """Name of the layer that `entity` is drawn on. Everything else is resolved after it."""
        name = super().resolve_layer(entity)
        key = layer_key(name)
        if key not in self.layers:
            unlisted = self.layers[key] = LayerProperties()
            unlisted.layer, unlisted.has_aci_color_7 = name, True
        return name

    def add_text_style(self, text_style: Textstyle) -> None:
        """Take a style from the table: it names a file, or a family beside it."""
        super().add_text_style(text_style)
        family, italic, bold = text_style.get_extended_font_data()
        file = text_style.dxf.font
        face = find_substitute(file) if file else find_font_face(family, bold=bold, italic=italic)
        if face:
            self.fonts[table_key(text_style.dxf.name)] = face
