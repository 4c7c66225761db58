"""Open a DXF drawing: whole where it is small, else its tables and blocks only, with the entities streamed.

A whole document costs about forty bytes of memory a byte of text. A streamed one costs that for its tables, blocks
and objects; an entity is read, drawn and forgotten.
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

from tasks.plan.dxf import WHOLE_BYTES
from workers.render.errors import BlueprintError
from workers.render.manifest import Warning  # noqa: A004 - the manifest's own word
from workers.render.vector.reader.tags import BinaryDxfFile, DxfFile, Sections, is_binary, open_dxf, whole

# What ezdxf raises on content that breaks the rules: it trusts attributes, references and numbers, and that they exist.
BROKEN = (
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
class Opened:
    """A drawing ready to be drawn. `model` gives its model space anew at every call, in the file's order; `told`
    hears the share that has been read. `broken` counts entities that could not be loaded."""

    document: Drawing
    warnings: list[Warning] = field(default_factory=list)
    file: DxfFile | BinaryDxfFile | None = None
    broken: Counter[str] = field(default_factory=Counter)
    told: Callable[[float], None] = lambda _share: None

    @property
    def streamed(self) -> bool:
        """Whether entities come from the file while they are drawn."""
        return self.file is not None

    def model(self) -> Iterator[DXFGraphic]:
        """Entities of the model space; a streamed one is destroyed when the next is asked for."""
        if self.file is None:
            return iter(self.document.modelspace())
        return self._streamed(paper=False)

    def entities(self, layout: Layout) -> Iterable[DXFGraphic]:
        """Entities of a layout. What lies on the active paper stands among the model's entities in the file."""
        if layout.is_modelspace:
            return self.model()
        if self.file is None or layout.layout_key != self._key("*Paper_Space"):
            return layout
        return self._streamed(paper=True)

    def _streamed(self, *, paper: bool) -> Iterator[DXFGraphic]:
        self.broken.clear()
        keys = self._key("*Model_Space"), self._key("*Paper_Space")
        for entity in _linked(self._loaded()):
            if isinstance(entity, DXFGraphic) and _in_paper(entity, *keys) == paper:
                for part in (entity, *_parts(entity)):
                    part.post_load_hook(self.document)
                if entity.is_alive:
                    yield entity
            if not isinstance(entity, Viewport):  # those are drawn last
                entity.destroy()

    def _key(self, name: str) -> str:
        return str(self.document.block_records.get(name).dxf.handle)

    def _loaded(self) -> Iterator[DXFEntity]:
        for tags in self._read():
            try:
                entity = factory.load(ExtendedTags(tags), self.document)
                entity.doc = self.document
                if entity.dxf.handle is None:
                    entity.dxf.handle = "0"  # R12 files may have none
            except BROKEN:
                self._count_broken(str(tags[0].value))
                continue
            yield entity

    def _read(self) -> Iterator[Tags]:
        assert self.file is not None  # noqa: S101 - asked for where it is
        try:
            for number, (share, tags) in enumerate(self.file.entities(self._count_broken)):
                if number % 256 == 0:
                    self.told(share)
                yield tags
        except BROKEN as error:
            raise _beyond_repair(error) from error

    def _count_broken(self, kind: str) -> None:
        self.broken[kind] += 1


def open_drawing(path: Path) -> Opened:
    """Open the drawing at `path`. Raises `BlueprintError` (`broken-dxf`)."""
    large = path.stat().st_size > WHOLE_BYTES
    try:
        if not large:
            return Opened(_document(whole(path)))
        file = open_dxf(path)
        return Opened(_document(file.sections()), file=file)
    except BROKEN as error:
        if large or is_binary(path):  # which ezdxf's recover does not read
            raise _beyond_repair(error) from error
    return _recovered(path)


def _recovered(path: Path) -> Opened:
    try:
        document, auditor = recover.readfile(path)
        document.modelspace()
        _sort(document)
    except (*BROKEN, RecursionError) as error:
        raise _beyond_repair(error) from error
    count = len(auditor.errors) + len(auditor.fixes)
    mended = Warning(code="recovered", message=f"The file was damaged: {count} faults were mended or left.")
    return Opened(document, [mended])


def _beyond_repair(error: BaseException) -> BlueprintError:
    return BlueprintError(
        "broken-dxf",
        f"The DXF is damaged beyond repair ({error}). Open it in a CAD program, run AUDIT and save it again.",
    )


def _document(sections: Sections) -> Drawing:
    document = Drawing()
    document._load_section_dict(sections)  # as ezdxf.recover does
    document.modelspace()  # a KeyError where a damaged file has none
    _sort(document)
    return document


def _sort(document: Drawing) -> None:
    """Put what blocks and layouts hold into the order in which it is drawn: ezdxf's frontend sorts neither the parts of
    an inserted block nor the model that a viewport shows."""
    for block in document.blocks:
        with suppress(*BROKEN):
            if any(True for _ in block.get_redraw_order()):
                block.entity_space.entities[:] = block.entities_in_redraw_order()


def _in_paper(entity: DXFEntity, model: str, paper: str) -> bool:
    """As ezdxf decides it (`ezdxf.sections.entities`): by owner, then by flag."""
    owner = entity.dxf.owner
    if owner in {model, paper}:
        return bool(owner == paper)
    return bool(entity.dxf.get("paperspace", 0))


def _linked(entities: Iterable[DXFEntity]) -> Iterator[DXFEntity]:
    """Entities with what belongs to them: attributes of inserts, vertices of polylines."""
    linked, waiting = entity_linker(), None
    for entity in entities:
        try:
            belongs = linked(entity)
        except DXFError:
            linked, belongs = entity_linker(), False
        if belongs:
            continue
        if waiting is not None:
            yield waiting
        waiting = entity
    if waiting is not None:
        yield waiting


def _parts(entity: DXFEntity) -> Iterable[DXFEntity]:
    return entity.all_sub_entities() if isinstance(entity, LinkedEntities) else ()
