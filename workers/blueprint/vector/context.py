"""What an entity looks like by its layer, block and layout: ezdxf's rules, and what drawings take for granted."""

from ezdxf.addons.drawing.properties import LayerProperties, RenderContext, layer_key
from ezdxf.entities.dxfgfx import DXFGraphic


class BlueprintContext(RenderContext):
    """Gives layers that the table lacks colour 7, as CAD programs do; ezdxf draws them white, on white as well."""

    def resolve_layer(self, entity: DXFGraphic) -> str:
        """Name of the layer that `entity` is drawn on. Everything else is resolved after it."""
        name = super().resolve_layer(entity)
        key = layer_key(name)
        if key not in self.layers:
            unlisted = self.layers[key] = LayerProperties()
            unlisted.layer, unlisted.has_aci_color_7 = name, True
        return name
