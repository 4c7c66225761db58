"""A DXF file as groups of tags, one an entity, read a block at a time.

ezdxf's own loader hands every tag through three generators; this one takes a block at a time, in half the time.
"""

import codecs
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ezdxf.filemanagement import dxf_file_info
from ezdxf.lldxf.const import DXFStructureError
from ezdxf.lldxf.encoding import decode_dxf_unicode, decode_mif_to_unicode
from ezdxf.lldxf.tagger import binary_tags_loader, tag_compiler
from ezdxf.lldxf.tags import Tags, group_tags
from ezdxf.lldxf.types import BINARY_DATA, POINT_CODES, TYPE_TABLE, DXFBinaryTag, DXFTag, DXFVertex

from tasks.plan.dxf import MAGIC, find_entities_span

BLOCK_BYTES = 1 << 17
COMMENT = 999

Sections = dict[str, list[Tags]]

_HEADER_END = re.compile(rb"\x00ENDSEC\x00")


@dataclass(frozen=True)
class AsciiDxfFile:
    """A file in two halves: `sections`, kept in memory by their reader, and `entities`, which may be gigabytes.

    `span` is where the entities lie in bytes.
    """

    path: Path
    encoding: str
    span: tuple[int, int]

    def sections(self) -> Sections:
        """Tags of all sections; ENTITIES holds its head alone. Raises what `BROKEN` lists where they are damaged."""
        start, end = self.span
        return _group_by_section(self._groups((0, start), (end, self.path.stat().st_size)))

    def entities(self, on_damaged: Callable[[str], None]) -> Iterator[tuple[float, Tags]]:
        """Each entity's tags, in the file's order, and the share of the section that has been read.

        `broken` hears the type of an entity whose tags make no sense.
        """
        start, end = self.span
        with self.path.open("rb") as file:
            for groups in ascii_groups(file, self.encoding, (start, end), on_damaged=on_damaged):
                share = (file.tell() - start) / max(1, end - start)
                for group in groups:
                    yield share, group

    def _groups(self, *spans: tuple[int, int]) -> Iterator[Tags]:
        with self.path.open("rb") as file:
            for groups in ascii_groups(file, self.encoding, *spans):
                yield from groups


@dataclass(frozen=True)
class BinaryDxfFile:
    """The same of a binary file, which lies in memory whole: it says in a third of the bytes what a text does."""

    data: bytes
    span: tuple[int, int]

    def sections(self) -> Sections:
        """Tags of all sections; ENTITIES holds its head alone."""
        start, end = self.span
        return _group_by_section(_read_binary_groups(self.data[:start] + self.data[end:]))

    def entities(self, on_damaged: Callable[[str], None]) -> Iterator[tuple[float, Tags]]:
        """Each entity's tags, in the file's order; how much has been read is not known. Numbers cannot be misspelt."""
        del on_damaged
        start, end = self.span
        # Version and encoding stand in the header: its tags come first, and are passed over.
        header = _HEADER_END.search(self.data)
        prefix = self.data[: header.end()] if header and header.end() < start else self.data[:22]
        inside = len(prefix) == 22
        for group in _read_binary_groups(prefix + self.data[start:end]):
            if inside:
                yield 0.0, group
            inside = inside or group[0].value == "ENDSEC"


def is_binary(path: Path) -> bool:
    """Whether the file says that it is a binary DXF."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def open_dxf(path: Path) -> AsciiDxfFile | BinaryDxfFile:
    """Find the two halves. Raises DXFStructureError without a whole ENTITIES section."""
    with path.open("rb") as file:
        binary = file.read(len(MAGIC)) == MAGIC
        span = find_entities_span(file, binary=binary)
    if span is None:
        raise DXFStructureError("there is no whole ENTITIES section")
    if binary:
        return BinaryDxfFile(path.read_bytes(), span)
    return AsciiDxfFile(path, dxf_file_info(path).encoding, span)


def read_sections(path: Path) -> Sections:
    """Tags of all sections of a file, entities and all."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) == MAGIC:
            return _group_by_section(_read_binary_groups(path.read_bytes()))
        encoding = dxf_file_info(path).encoding
        return _group_by_section(
            group for groups in ascii_groups(file, encoding, (0, path.stat().st_size)) for group in groups
        )


def ascii_groups(
    file: io.BufferedReader, encoding: str, *spans: tuple[int, int], on_damaged: Callable[[str], None] | None = None
) -> Iterator[list[Tags]]:
    """Groups of tags of some spans of bytes, a block at a time. Costs the lines of a block, some 3 MB.

    Raises DXFStructureError for values that are not of their types; with `broken`, leaves those groups out.
    """

    def compiled(at: int, end: int) -> Iterator[Tags]:
        try:
            yield _compile_tags(codes, values, at, end)
        except DXFStructureError:
            if on_damaged is None:
                raise
            on_damaged(values[at].strip())

    codes: list[int] = []
    values: list[str] = []
    for lines in _read_lines(file, encoding, spans):
        codes += map(int, lines[0::2])
        values += lines[1::2]
        # The last group may go on in the next block.
        starts = [at for at, code in enumerate(codes) if code == 0]
        if len(starts) > 1:
            yield [group for at, end in pairwise(starts) for group in compiled(at, end)]
            del codes[: starts[-1]], values[: starts[-1]]
    if codes:
        yield list(compiled(0, len(codes)))


def _read_lines(file: io.BufferedReader, encoding: str, spans: tuple[tuple[int, int], ...]) -> Iterator[list[str]]:
    """Lines in blocks of even numbers."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)("surrogateescape"), translate=True)
    text = ""
    for start, end in spans:
        file.seek(start)
        while block := file.read(min(BLOCK_BYTES, end - file.tell())):
            lines = (text + decoder.decode(block)).split("\n")
            text = lines.pop()
            if len(lines) % 2:
                text = f"{lines.pop()}\n{text}"
            if lines:
                yield lines
    lines = (text + decoder.decode(b"", final=True)).split("\n")
    if len(lines) > 1:
        yield lines[:2]


def _compile_tags(codes: list[int], values: list[str], at: int, end: int) -> Tags:
    """Tags `at` to `end` with values of their types. Raises DXFStructureError."""
    tags = Tags()
    try:
        while at < end:
            code, value = codes[at], values[at]
            if code in POINT_CODES:
                at += _append_point(tags, codes, values, at, end)
                continue
            at += 1
            if code == COMMENT:
                continue
            if code in BINARY_DATA:
                tags.append(DXFBinaryTag.from_string(code, value))
            else:
                tags.append(DXFTag(code, _parse_value(code, value)))
    except ValueError as error:
        raise DXFStructureError(f"a value is not of its type ({error})") from error
    return tags


def _parse_value(code: int, text: str) -> object:
    kind = TYPE_TABLE.get(code, str)
    if kind is str:
        return text.strip() if code == 0 else _decode_text(text)
    try:
        return kind(text)
    except ValueError:
        if kind is int:  # some programs write whole numbers as decimals
            return int(float(text))
        raise


def _decode_text(text: str) -> str:
    """`text` with the letters that files of any version may write as codes: \\U+041F, \\M+2A4A4."""
    return decode_mif_to_unicode(decode_dxf_unicode(text)) if "\\" in text else text


def _append_point(tags: Tags, codes: list[int], values: list[str], at: int, end: int) -> int:
    """Append the point that begins at tag `at`; the number of tags it takes."""
    code = codes[at]
    if at + 1 >= end or codes[at + 1] != code + 10:
        raise DXFStructureError("a point lacks its y coordinate")
    if at + 2 < end and codes[at + 2] == code + 20:
        tags.append(DXFVertex(code, (float(values[at]), float(values[at + 1]), float(values[at + 2]))))
        return 3
    tags.append(DXFVertex(code, (float(values[at]), float(values[at + 1]))))
    return 2


def _read_binary_groups(data: bytes) -> Iterator[Tags]:
    groups: Iterator[Tags] = iter(group_tags(tag_compiler(map(_decode_tag, binary_tags_loader(data)))))
    return groups


def _decode_tag(tag: DXFTag) -> DXFTag:
    return DXFTag(tag.code, _decode_text(tag.value)) if isinstance(tag.value, str) else tag


def _group_by_section(groups: Iterator[Tags]) -> Sections:
    """Groups by section, as `ezdxf.lldxf.loader.load_dxf_structure` has them. Raises DXFStructureError."""
    sections: Sections = {}
    section: list[Tags] | None = None
    for group in groups:
        name = group[0].value
        if name == "EOF":
            if section is not None:
                break
            return sections
        if name == "SECTION":
            if section is not None or len(group) < 2:
                break
            section = [group]
            sections[str(group[1].value)] = section
        elif name == "ENDSEC":
            section = None
        elif section is not None:
            section.append(group)
    raise DXFStructureError("sections do not begin and end as they should")
