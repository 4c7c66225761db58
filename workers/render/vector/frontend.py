"""ezdxf's frontend, with counted work for hatches, one broken entity contained, and notes of what was left out."""

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
from workers.render.vector.block_cache import Stencils, key_of, stamp, template
from workers.render.vector.dashes import bound_dashes
from workers.render.vector.hatches import HatchBudget, hatch_lines
from workers.render.vector.infinite_lines import FAR, KINDS, Endless, endless
from workers.render.vector.reader.document import BROKEN
from workers.render.vector.text.glyphs import Lettering
from workers.render.vector.text.paragraphs import Paragraphs

# ezdxf calls back per entity, inner ones included; progress is reported every so many.
STRIDE = 128

# Copies that one insert may lay out in rows and columns. Each costs a tenth of a millisecond, even of an empty block.
MAX_COPIES = 1_000_000


class BlueprintFrontend(Frontend):
    """Draws a layout; afterwards `skipped` and `broken` count entities by type, `solid_hatches` those filled in,
    `gradients` those of one colour instead of two; `types` and `styles` are what was met: entity types and text styles;
    `lettering` knows which letters were boxes.

    `model` gives the entities that viewports show. `frozen` are the keys of frozen layers; `shown` those of the only
    layers to draw, all if it is empty. With `model_dashes`, dashes in viewports are as long as in the model. `drawn` is
    called with the number of entities so far, inner ones included.
    """

    def __init__(
        self,
        context: RenderContext,
        backend: RecordingBackend,
        config: Configuration,
        *,
        model: Callable[[], Iterator[DXFGraphic]],
        frozen: frozenset[str],
        shown: frozenset[str],
        model_dashes: bool,
        drawn: Callable[[int], None],
    ) -> None:
        super().__init__(context, backend, config)
        self.pipeline.text_engine = self.lettering = Lettering()
        self._dashes = bound_dashes(self.pipeline, config, model_units=model_dashes)
        self.skipped: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()
        self.solid_hatches = 0
        self.gradients = 0
        self.types: set[str] = set()
        self.styles: set[str] = set()
        self._backend = backend
        self._budget = HatchBudget()
        self._stencils = Stencils()
        self._endless: list[tuple[Endless, Properties]] = []
        self._model = model
        self._frozen = frozen
        self._shown = shown
        self._drawn = drawn
        self._count = 0

    @property
    def whole_lines(self) -> int:
        """Lines of too many dashes, which were drawn whole."""
        return self._dashes.whole

    def draw_stream(self, layout: Layout, entities: Iterable[DXFGraphic]) -> None:
        """Draw `entities` as those of `layout`, in the order in which they come."""
        self.ctx.set_current_layout(layout)
        self.set_background(self.ctx.current_layout_properties.background_color)
        self.draw_entities(entities)

    def override_properties(self, entity: DXFGraphic, properties: Properties) -> None:
        """Hide what is on other layers than those asked for; a block's parts have layers of their own."""
        if self._shown and not isinstance(entity, Insert) and layer_key(properties.layer) not in self._shown:
            properties.is_visible = False

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

    def draw_line_entity(self, entity: DXFGraphic, properties: Properties) -> None:
        """Draw a line; one without end crosses its viewport, or waits for `draw_endless`."""
        if entity.dxftype() not in KINDS:
            super().draw_line_entity(entity, properties)
        elif line := endless(entity):
            if self._clipped:
                self.pipeline.draw_line(*line.ends(FAR), properties)
            else:
                self._endless.append((line, properties))

    def draw_endless(self) -> None:
        """Draw lines without end across what was drawn so far."""
        if not self._endless:
            return
        self._backend.display.close()
        extents = self._backend.display.extents()
        for line, properties in self._endless:
            if ends := line.within(extents):
                self.pipeline.draw_line(*ends, properties)

    @property
    def _clipped(self) -> bool:
        """Whether a viewport is drawn."""
        return bool(self.pipeline.clipping_portal.is_active)  # type: ignore[attr-defined] # of its only implementation

    def draw_composite_entity(self, entity: DXFGraphic, properties: Properties) -> None:
        """Draw what an entity is made of. Dimensions and their like are blocks in disguise: what lies on layer 0
        inside belongs to the dimension's own layer, and "by block" means the dimension's own colour."""
        if isinstance(entity, Insert):
            if entity.mcount > MAX_COPIES:
                raise BlueprintError(
                    "too-large",
                    f"The drawing repeats block {entity.dxf.name} {entity.mcount:,} times; {MAX_COPIES:,} are drawn. "
                    "Lay it out in fewer rows and columns.",
                )
            # A frozen layer hides whole blocks; one that is off hides only what lies on it.
            if layer_key(properties.layer) not in self._frozen and not self._stamped(entity, properties):
                super().draw_composite_entity(entity, properties)
            return
        if (
            isinstance(entity, DXFGraphicProxy | ACADProxyEntity)
            and not getattr(entity, "entity", entity).proxy_graphic
        ):
            self.skip_entity(entity, "of another program, without a picture")
            return
        self.ctx.push_state(properties)
        try:
            super().draw_composite_entity(entity, properties)
        finally:
            self.ctx.pop_state()

    def _stamped(self, insert: Insert, properties: Properties) -> bool:
        """Draw a block from its stencil, recording that where it pays; whether that was possible."""
        key = None if self._clipped else key_of(insert, properties)
        if key is None:
            return False
        stencil = self._stencils.find(key)
        if stencil is None:
            if not self._stencils.worth(key):
                return False
            waiting = len(self._endless)
            with self._backend.recording() as stencil:
                super().draw_composite_entity(template(insert), properties)
            if len(self._endless) > waiting:
                del self._endless[waiting:]  # they reach otherwise at each place
                return False
            self._stencils.keep(key, stencil)
        stamp(stencil, insert, self._backend.display)
        self.ctx.push_state(properties)
        try:
            self.draw_entities(insert.attribs)
        finally:
            self.ctx.pop_state()
        return True

    def draw_simple_mtext(self, mtext: MText, properties: Properties) -> None:
        """Draw text without formatting. ezdxf's way for it forgets the mask behind the text."""
        if mtext.dxf.get("bg_fill", 0):
            self.draw_complex_mtext(mtext, properties)
        else:
            super().draw_simple_mtext(mtext, properties)

    def draw_complex_mtext(self, mtext: MText, properties: Properties) -> None:
        """Draw text with formatting."""
        Paragraphs(self.ctx, self.pipeline, properties, self.lettering).draw(mtext)

    def draw_hatch_entity(self, entity: DXFGraphic, properties: Properties, *, loops: list[Path] | None = None) -> None:
        """Draw a hatch; where it fades from one colour into another, fill it with their mean."""
        filling = properties.filling
        if filling is not None and filling.type == Filling.GRADIENT:
            self.gradients += 1
            first, last = (RGB.from_hex(str(each)) for each in (filling.gradient_color1, filling.gradient_color2))
            mean = RGB(*((a + b) // 2 for a, b in zip(first, last, strict=True)))
            properties.color = mean.to_hex() + properties.color[7:]
        super().draw_hatch_entity(entity, properties, loops=loops)

    def draw_hatch_pattern(self, polygon: DXFPolygon, paths: list[Path], properties: Properties) -> None:
        """Draw hatch lines; a hatch with too many of them is filled."""
        properties.linetype_pattern = ()
        self._drawn(self._count)
        try:
            lines = hatch_lines(polygon, paths, self._budget)
        except DenseHatchingLinesError:
            self.solid_hatches += 1
            raise
        self.pipeline.draw_solid_lines(lines, properties)

    def draw_viewport(self, vp: Viewport) -> None:
        """Draw the model as a viewport shows it; those that look from the side are left out, as ezdxf does."""
        if not vp.is_top_view:
            self.skipped["VIEWPORT"] += 1
            return
        try:
            entered = self.pipeline.enter_viewport(vp)  # type: ignore[attr-defined] # of its only implementation
        except BROKEN:
            self.broken["VIEWPORT"] += 1
            return
        if entered:
            outer = self._frozen
            self._frozen = outer | {layer_key(name) for name in vp.frozen_layers} - self._shown
            try:
                self.draw_entities_callback(self.ctx.from_viewport(vp), self._model())
            finally:
                self._frozen = outer
                self.pipeline.exit_viewport()  # type: ignore[attr-defined]

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
