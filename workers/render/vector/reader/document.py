"""Open a DXF drawing: whole if it is small, otherwise with its entities streamed from the file.

A whole document takes about forty bytes of memory a byte of text. A streamed one takes that for its tables, blocks and
objects only; each entity is read, drawn and released.
"""

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ezdxf import recover
from ezdxf.document import Drawing
from ezdxf.entities import factory
from ezdxf.entities.dxfentity import DXFEntity
from ezdxf.entities.dxfgfx import DXFGraphic
from ezdxf.entities.subentity import LinkedEntities, entity_linker
from ezdxf.entities.viewport import Viewport
from ezdxf.layouts.layout import Layout
from ezdxf.lldxf.const import DXFError
from ezdxf.lldxf.extendedtags import ExtendedTags
from ezdxf.lldxf.tags import Tags

from tasks.plan.dxf import MAX_IN_MEMORY_BYTES
from workers.render.errors import BlueprintError
from workers.render.manifest import RenderWarning
from workers.render.vector.reader.tags import AsciiDxfFile, BinaryDxfFile, Sections, is_binary, open_dxf, read_sections

# Exceptions that ezdxf raises for invalid content: it does not check that attributes, references and values are valid.
DAMAGE_ERRORS = (
    DXFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    StopIteration,
    struct.error,
)


@dataclass
class OpenedDrawing:
    """A drawing ready to be drawn.

    `on_progress` receives the share of the file that has been read; `damaged` counts entities that could not be loaded.
    """

    document: Drawing
    warnings: list[RenderWarning] = field(default_factory=list)
    file: AsciiDxfFile | BinaryDxfFile | None = None
    damaged: Counter[str] = field(default_factory=Counter)
    on_progress: Callable[[float], None] = lambda _share: None

    @property
    def streamed(self) -> bool:
        """Whether entities are read from the file while they are drawn."""
        return self.file is not None

    def model_entities(self) -> Iterator[DXFGraphic]:
        """Iterate over the model space in file order. A streamed entity is destroyed once the next is requested."""
        if self.file is None:
            return iter(self.document.modelspace())
        return self._stream_entities(paper=False)

    def layout_entities(self, layout: Layout) -> Iterable[DXFGraphic]:
        """Iterate over a layout. The file stores the active paper space among the model's entities."""
        if layout.is_modelspace:
            return self.model_entities()
        if self.file is None or layout.layout_key != self._layout_key("*Paper_Space"):
            return layout
        return self._stream_entities(paper=True)

    def _stream_entities(self, *, paper: bool) -> Iterator[DXFGraphic]:
        self.damaged.clear()
        keys = self._layout_key("*Model_Space"), self._layout_key("*Paper_Space")
        for entity in _link_entities(self._load_entities()):
            if isinstance(entity, DXFGraphic) and _is_in_paper_space(entity, *keys) == paper:
                for sub_entity in (entity, *_sub_entities(entity)):
                    sub_entity.post_load_hook(self.document)
                if entity.is_alive:
                    yield entity
            if not isinstance(entity, Viewport):  # drawn last
                entity.destroy()

    def _layout_key(self, name: str) -> str:
        return str(self.document.block_records.get(name).dxf.handle)

    def _load_entities(self) -> Iterator[DXFEntity]:
        for tags in self._read_tags():
            try:
                entity = factory.load(ExtendedTags(tags), self.document)
                entity.doc = self.document
                if entity.dxf.handle is None:
                    entity.dxf.handle = "0"  # R12 files may have none
            except DAMAGE_ERRORS:
                self._count_damaged(str(tags[0].value))
                continue
            yield entity

    def _read_tags(self) -> Iterator[Tags]:
        assert self.file is not None  # noqa: S101 - called for streamed drawings only
        try:
            for number, (share, tags) in enumerate(self.file.entities(self._count_damaged)):
                if number % 256 == 0:
                    self.on_progress(share)
                yield tags
        except DAMAGE_ERRORS as error:
            raise _damaged_error(error) from error

    def _count_damaged(self, kind: str) -> None:
        self.damaged[kind] += 1


def open_drawing(path: Path) -> OpenedDrawing:
    """Open the drawing at `path`. Raises `BlueprintError` (`damaged-dxf`)."""
    large = path.stat().st_size > MAX_IN_MEMORY_BYTES
    try:
        if not large:
            return OpenedDrawing(_load_document(read_sections(path)))
        file = open_dxf(path)
        return OpenedDrawing(_load_document(file.sections()), file=file)
    except DAMAGE_ERRORS as error:
        if large or is_binary(path):  # ezdxf.recover does not support these
            raise _damaged_error(error) from error
    return _recover(path)


def _recover(path: Path) -> OpenedDrawing:
    try:
        document, auditor = recover.readfile(path)
        document.modelspace()
        _apply_draw_order(document)
    except (*DAMAGE_ERRORS, RecursionError) as error:
        raise _damaged_error(error) from error
    count = len(auditor.errors) + len(auditor.fixes)
    warning = RenderWarning(
        code="recovered", message=f"The file is damaged; {count} errors were found and repaired where possible."
    )
    return OpenedDrawing(document, [warning])


def _damaged_error(error: BaseException) -> BlueprintError:
    return BlueprintError(
        "damaged-dxf",
        f"The DXF is damaged beyond repair ({error}). Open it in a CAD program, run AUDIT and save it again.",
    )


def _load_document(sections: Sections) -> Drawing:
    document = Drawing()
    document._load_section_dict(sections)  # as ezdxf.recover does
    document.modelspace()  # raises KeyError if a damaged file has none
    _apply_draw_order(document)
    return document


def _apply_draw_order(document: Drawing) -> None:
    """Sort the entities of blocks and layouts into draw order.

    ezdxf's frontend sorts neither the entities of an inserted block nor the model in a viewport.
    """
    for block in document.blocks:
        with suppress(*DAMAGE_ERRORS):
            if any(True for _ in block.get_redraw_order()):
                block.entity_space.entities[:] = block.entities_in_redraw_order()


def _is_in_paper_space(entity: DXFEntity, model: str, paper: str) -> bool:
    """Whether an entity is in paper space: by owner, then by flag, as in `ezdxf.sections.entities`."""
    owner = entity.dxf.owner
    if owner in {model, paper}:
        return bool(owner == paper)
    return bool(entity.dxf.get("paperspace", 0))


def _link_entities(entities: Iterable[DXFEntity]) -> Iterator[DXFEntity]:
    """Attach sub-entities to their entities: attributes to inserts, vertices to polylines."""
    link, pending = entity_linker(), None
    for entity in entities:
        try:
            is_sub_entity = link(entity)
        except DXFError:
            link, is_sub_entity = entity_linker(), False
        if is_sub_entity:
            continue
        if pending is not None:
            yield pending
        pending = entity
    if pending is not None:
        yield pending


def _sub_entities(entity: DXFEntity) -> Iterable[DXFEntity]:
    return entity.all_sub_entities() if isinstance(entity, LinkedEntities) else ()
