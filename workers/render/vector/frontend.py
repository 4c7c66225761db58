"""ezdxf's frontend with limits on hatches, tolerance of damaged entities, and counts of everything left out."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from ezdxf.addons.drawing.config import Configuration
from ezdxf.addons.drawing.frontend import Frontend
from ezdxf.addons.drawing.gfxproxy import DXFGraphicProxy
from ezdxf.addons.drawing.properties import Filling, Properties, RenderContext, layer_key
from ezdxf.colors import RGB
from ezdxf.entities.acad_proxy_entity import ACADProxyEntity
from ezdxf.entities.dxfentity import DXFEntity
from ezdxf.entities.dxfgfx import DXFGraphic
from ezdxf.entities.insert import Insert
from ezdxf.entities.mtext import MText
from ezdxf.entities.polygon import DXFPolygon
from ezdxf.entities.viewport import Viewport
from ezdxf.layouts.layout import Layout
from ezdxf.path import Path
from ezdxf.render.hatching import DenseHatchingLinesError

from workers.render.errors import BlueprintError
from workers.render.vector.backend import RecordingBackend
from workers.render.vector.block_cache import BlockCache, cache_key, draw_cached, untransformed
from workers.render.vector.dashes import limit_dashes
from workers.render.vector.hatches import HatchBudget, hatch_lines
from workers.render.vector.infinite_lines import INFINITE_TYPES, VIEWPORT_REACH, InfiniteLine, to_infinite_line
from workers.render.vector.reader.document import DAMAGE_ERRORS
from workers.render.vector.text.glyphs import FallbackTextRenderer
from workers.render.vector.text.paragraphs import ParagraphRenderer

# Progress is reported every so many entities, nested ones included.
PROGRESS_INTERVAL = 128

# Copies that one insert may repeat in rows and columns. Each takes 0.1 ms, even of an empty block.
MAX_COPIES = 1_000_000


class BlueprintFrontend(Frontend):
    """Draws a layout and collects facts for warnings.

    `skipped` and `damaged` count entities by type. `filled_hatches` counts hatches that are too dense, `flat_gradients`
    gradients filled with one colour. `entity_types` and `text_styles` are those that occur; `text_renderer` has the
    missing glyphs.

    `model_entities` returns the entities that viewports show. `frozen_layers` are keys of layers; `only_layers` are the
    keys of the layers to draw, all if empty. With `dashes_in_model_units`, dashes in viewports scale with the model.
    `on_progress` receives the number of entities so far, nested ones included.
    """

    def __init__(
        self,
        context: RenderContext,
        backend: RecordingBackend,
        config: Configuration,
        *,
        model_entities: Callable[[], Iterator[DXFGraphic]],
        frozen_layers: frozenset[str],
        only_layers: frozenset[str],
        dashes_in_model_units: bool,
        on_progress: Callable[[int], None],
    ) -> None:
        super().__init__(context, backend, config)
        self.pipeline.text_engine = self.text_renderer = FallbackTextRenderer()
        self._dashes = limit_dashes(self.pipeline, config, model_units=dashes_in_model_units)
        self.skipped: Counter[str] = Counter()
        self.damaged: Counter[str] = Counter()
        self.filled_hatches = 0
        self.flat_gradients = 0
        self.entity_types: set[str] = set()
        self.text_styles: set[str] = set()
        self._backend = backend
        self._hatch_budget = HatchBudget()
        self._block_cache = BlockCache()
        self._infinite_lines: list[tuple[InfiniteLine, Properties]] = []
        self._model_entities = model_entities
        self._frozen_layers = frozen_layers
        self._only_layers = only_layers
        self._on_progress = on_progress
        self._entity_count = 0

    @property
    def solid_lines(self) -> int:
        """Number of lines with too many dashes, which are drawn solid."""
        return self._dashes.solid_lines

    def draw_stream(self, layout: Layout, entities: Iterable[DXFGraphic]) -> None:
        """Draw `entities` as those of `layout`, in the given order."""
        self.ctx.set_current_layout(layout)
        self.set_background(self.ctx.current_layout_properties.background_color)
        self.draw_entities(entities)

    def override_properties(self, entity: DXFGraphic, properties: Properties) -> None:
        """Hide entities on layers that were not requested, except inserts: a block's entities have their own layers."""
        if (
            self._only_layers
            and not isinstance(entity, Insert)
            and layer_key(properties.layer) not in self._only_layers
        ):
            properties.is_visible = False

    def draw_entity(self, entity: DXFGraphic, properties: Properties) -> None:
        """Draw one entity; leave it out if it is damaged."""
        self._entity_count += 1
        if self._entity_count % PROGRESS_INTERVAL == 0:
            self._on_progress(self._entity_count)
        self.entity_types.add(entity.dxftype())
        if properties.font is not None:
            self.text_styles.add(entity.dxf.get("style", "Standard"))
        block = self.ctx.current_block_reference_properties
        try:
            super().draw_entity(entity, properties)
        except DAMAGE_ERRORS:
            while self.ctx.current_block_reference_properties is not block:
                self.ctx.pop_state()
            self.damaged[entity.dxftype()] += 1

    def draw_line_entity(self, entity: DXFGraphic, properties: Properties) -> None:
        """Draw a line. An infinite line crosses its viewport, or is deferred to `draw_infinite_lines`."""
        if entity.dxftype() not in INFINITE_TYPES:
            super().draw_line_entity(entity, properties)
        elif line := to_infinite_line(entity):
            if self._in_viewport:
                self.pipeline.draw_line(*line.segment(VIEWPORT_REACH), properties)
            else:
                self._infinite_lines.append((line, properties))

    def draw_infinite_lines(self) -> None:
        """Draw the infinite lines across the extents of everything drawn so far."""
        if not self._infinite_lines:
            return
        self._backend.display.close()
        extents = self._backend.display.extents()
        for line, properties in self._infinite_lines:
            if ends := line.clip(extents):
                self.pipeline.draw_line(*ends, properties)

    @property
    def _in_viewport(self) -> bool:
        """Whether a viewport is being drawn."""
        return bool(self.pipeline.clipping_portal.is_active)  # type: ignore[attr-defined] # of its only implementation

    def draw_composite_entity(self, entity: DXFGraphic, properties: Properties) -> None:
        """Draw the entities that an entity consists of.

        Dimensions and the like are anonymous blocks: their parts on layer 0 belong to the dimension's layer, and
        BYBLOCK means the dimension's colour.
        """
        if isinstance(entity, Insert):
            if entity.mcount > MAX_COPIES:
                raise BlueprintError(
                    "too-large",
                    f"The drawing repeats block {entity.dxf.name} {entity.mcount:,} times in one insert; the limit is "
                    f"{MAX_COPIES:,}. Use fewer rows and columns.",
                )
            # A frozen layer hides a whole block; a layer that is off hides only its own entities.
            if layer_key(properties.layer) not in self._frozen_layers and not self._draw_from_cache(entity, properties):
                super().draw_composite_entity(entity, properties)
            return
        if (
            isinstance(entity, DXFGraphicProxy | ACADProxyEntity)
            and not getattr(entity, "entity", entity).proxy_graphic
        ):
            self.skip_entity(entity, "a proxy without graphics")
            return
        self.ctx.push_state(properties)
        try:
            super().draw_composite_entity(entity, properties)
        finally:
            self.ctx.pop_state()

    def _draw_from_cache(self, insert: Insert, properties: Properties) -> bool:
        """Draw a block from the cache, recording it first if that pays. Returns whether it was drawn."""
        key = None if self._in_viewport else cache_key(insert, properties)
        if key is None:
            return False
        block = self._block_cache.get(key)
        if block is None:
            if not self._block_cache.should_record(key):
                return False
            infinite_count = len(self._infinite_lines)
            with self._backend.record_separately() as block:
                super().draw_composite_entity(untransformed(insert), properties)
            if len(self._infinite_lines) > infinite_count:
                del self._infinite_lines[infinite_count:]  # their length differs at each insertion
                return False
            self._block_cache.put(key, block)
        draw_cached(block, insert, self._backend.display)
        self.ctx.push_state(properties)
        try:
            self.draw_entities(insert.attribs)
        finally:
            self.ctx.pop_state()
        return True

    def draw_simple_mtext(self, mtext: MText, properties: Properties) -> None:
        """Draw text without formatting. ezdxf's method for it omits the background fill."""
        if mtext.dxf.get("bg_fill", 0):
            self.draw_complex_mtext(mtext, properties)
        else:
            super().draw_simple_mtext(mtext, properties)

    def draw_complex_mtext(self, mtext: MText, properties: Properties) -> None:
        """Draw text with formatting."""
        ParagraphRenderer(self.ctx, self.pipeline, properties, self.text_renderer).draw(mtext)

    def draw_hatch_entity(self, entity: DXFGraphic, properties: Properties, *, loops: list[Path] | None = None) -> None:
        """Draw a hatch. A gradient is filled with the mean of its colours."""
        filling = properties.filling
        if filling is not None and filling.type == Filling.GRADIENT:
            self.flat_gradients += 1
            first, last = (RGB.from_hex(str(colour)) for colour in (filling.gradient_color1, filling.gradient_color2))
            mean = RGB(*((a + b) // 2 for a, b in zip(first, last, strict=True)))
            properties.color = mean.to_hex() + properties.color[7:]
        super().draw_hatch_entity(entity, properties, loops=loops)

    def draw_hatch_pattern(self, polygon: DXFPolygon, paths: list[Path], properties: Properties) -> None:
        """Draw hatch lines. A hatch with too many of them is filled."""
        properties.linetype_pattern = ()
        self._on_progress(self._entity_count)
        try:
            lines = hatch_lines(polygon, paths, self._hatch_budget)
        except DenseHatchingLinesError:
            self.filled_hatches += 1
            raise
        self.pipeline.draw_solid_lines(lines, properties)

    def draw_viewport(self, vp: Viewport) -> None:
        """Draw the model as a viewport shows it. Like ezdxf, skips viewports that do not show a top view."""
        if not vp.is_top_view:
            self.skipped["VIEWPORT"] += 1
            return
        try:
            entered = self.pipeline.enter_viewport(vp)  # type: ignore[attr-defined] # of its only implementation
        except DAMAGE_ERRORS:
            self.damaged["VIEWPORT"] += 1
            return
        if entered:
            outer = self._frozen_layers
            self._frozen_layers = outer | {layer_key(name) for name in vp.frozen_layers} - self._only_layers
            try:
                self.draw_entities_callback(self.ctx.from_viewport(vp), self._model_entities())
            finally:
                self._frozen_layers = outer
                self.pipeline.exit_viewport()  # type: ignore[attr-defined]

    def draw_entities_callback(self, ctx: RenderContext, entities: Iterable[DXFGraphic]) -> None:
        """Draw a viewport's content with the viewport's own layer states, also inside blocks."""
        outer, self.ctx = self.ctx, ctx
        try:
            super().draw_entities_callback(ctx, entities)
        finally:
            self.ctx = outer

    def skip_entity(self, entity: DXFEntity, msg: str) -> None:
        """Count entities that cannot be drawn, except those that are meant to be invisible."""
        if msg != "invisible":
            self.skipped[entity.dxftype()] += 1
