"""ezdxf's frontend, with a time budget for hatches, one broken entity contained, and notes of what was left out."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable

from ezdxf.addons.drawing.backend import BackendInterface
from ezdxf.addons.drawing.config import Configuration
from ezdxf.addons.drawing.frontend import Frontend
from ezdxf.addons.drawing.properties import Properties, RenderContext, layer_key
from ezdxf.entities.dxfentity import DXFEntity
from ezdxf.entities.dxfgfx import DXFGraphic
from ezdxf.entities.insert import Insert
from ezdxf.entities.polygon import DXFPolygon
from ezdxf.lldxf.const import DXFError
from ezdxf.path import Path
from ezdxf.render.hatching import DenseHatchingLinesError

# What ezdxf raises on content that breaks the rules: it trusts attributes, references and numbers.
BROKEN = (DXFError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, AssertionError)

# ezdxf calls back per entity, inner ones included; progress is reported every so many.
STRIDE = 256


class BlueprintFrontend(Frontend):
    """Draws a layout; afterwards `skipped` and `broken` count entities by type, `solid_hatches` those filled in;
    `types` and `styles` are what was met: entity types and text styles.

    `frozen` are the keys of frozen layers; `drawn` is called with the number of entities so far, inner ones included.
    """

    def __init__(
        self,
        context: RenderContext,
        backend: BackendInterface,
        config: Configuration,
        frozen: Collection[str],
        drawn: Callable[[int], None],
    ) -> None:
        super().__init__(context, backend, config)
        self.skipped: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()
        self.solid_hatches = 0
        self.types: set[str] = set()
        self.styles: set[str] = set()
        self._frozen = frozen
        self._drawn = drawn
        self._count = 0

    def draw_entity(self, entity: DXFGraphic, properties: Properties) -> None:
        """Draw one entity; where it is broken, leave it out and go on with the rest."""
        self._count += 1
        if self._count % STRIDE == 0:
            self._drawn(self._count)
        self.types.add(entity.dxftype())
        if properties.font is not None:
            self.styles.add(entity.dxf.get("style", "Standard"))
        block = self.ctx.current_block_reference_properties
        try:
            super().draw_entity(entity, properties)
        except BROKEN:
            while self.ctx.current_block_reference_properties is not block:
                self.ctx.pop_state()
            self.broken[entity.dxftype()] += 1

    def draw_composite_entity(self, entity: DXFGraphic, properties: Properties) -> None:
        """Draw what an entity is made of. Dimensions and their like are blocks in disguise: what lies on layer 0
        inside belongs to the dimension's own layer, and "by block" means the dimension's own colour."""
        if isinstance(entity, Insert):
            # A frozen layer hides whole blocks; one that is off hides only what lies on it.
            if layer_key(properties.layer) not in self._frozen:
                super().draw_composite_entity(entity, properties)
            return
        self.ctx.push_state(properties)
        try:
            super().draw_composite_entity(entity, properties)
        finally:
            self.ctx.pop_state()

    def draw_hatch_pattern(self, polygon: DXFPolygon, paths: list[Path], properties: Properties) -> None:
        """Draw hatch lines; a hatch that uses up its time becomes solid instead of half drawn."""
        begun = time.monotonic()
        super().draw_hatch_pattern(polygon, paths, properties)
        if time.monotonic() - begun > self.config.hatching_timeout:
            self.solid_hatches += 1
            raise DenseHatchingLinesError

    def draw_entities_callback(self, ctx: RenderContext, entities: Iterable[DXFGraphic]) -> None:
        """Draw a viewport's content with the viewport's own layer states, inside blocks too."""
        outer, self.ctx = self.ctx, ctx
        try:
            super().draw_entities_callback(ctx, entities)
        finally:
            self.ctx = outer

    def skip_entity(self, entity: DXFEntity, msg: str) -> None:
        """Count what cannot be drawn; what is meant to be invisible is not missing."""
        if msg != "invisible":
            self.skipped[entity.dxftype()] += 1
