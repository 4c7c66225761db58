"""Read a DXF file as groups of tags, one group an entity, a block of bytes at a time.

ezdxf's own loader passes every tag through three generators and takes twice as long.
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
    """An ASCII DXF in two parts: `sections`, which the caller holds in memory, and `entities`, which may be gigabytes.

    `span` are the byte offsets of the ENTITIES section's content.
    """

    path: Path
    encoding: str
    span: tuple[int, int]

    def sections(self) -> Sections:
        """Return the tags of all sections; ENTITIES is empty except for its start. Raises DAMAGE_ERRORS."""
        start, end = self.span
        return _group_by_section(self._groups((0, start), (end, self.path.stat().st_size)))

    def entities(self, on_damaged: Callable[[str], None]) -> Iterator[tuple[float, Tags]]:
        """Yield the share of the section read so far, and an entity's tags, in file order.

        `on_damaged` receives the type of each entity with invalid tags.
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
    """A binary DXF, held in memory: it has a third of the bytes of the same drawing in ASCII."""

    data: bytes
    span: tuple[int, int]

    def sections(self) -> Sections:
        """Return the tags of all sections; ENTITIES is empty except for its start."""
        start, end = self.span
        return _group_by_section(_read_binary_groups(self.data[:start] + self.data[end:]))

    def entities(self, on_damaged: Callable[[str], None]) -> Iterator[tuple[float, Tags]]:
        """Yield each entity's tags, in file order. The share is always 0. Binary numbers are always well-formed."""
        del on_damaged
        start, end = self.span
        # The loader needs version and encoding from the header, so its tags come first and are skipped here.
        header = _HEADER_END.search(self.data)
        prefix = self.data[: header.end()] if header and header.end() < start else self.data[:22]
        inside = len(prefix) == 22
        for group in _read_binary_groups(prefix + self.data[start:end]):
            if inside:
                yield 0.0, group
            inside = inside or group[0].value == "ENDSEC"


def is_binary(path: Path) -> bool:
    """Whether the file has the signature of a binary DXF."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def open_dxf(path: Path) -> AsciiDxfFile | BinaryDxfFile:
    """Locate the ENTITIES section. Raises DXFStructureError if it is missing or incomplete."""
    with path.open("rb") as file:
        binary = file.read(len(MAGIC)) == MAGIC
        span = find_entities_span(file, binary=binary)
    if span is None:
        raise DXFStructureError("the ENTITIES section is missing or incomplete")
    if binary:
        return BinaryDxfFile(path.read_bytes(), span)
    return AsciiDxfFile(path, dxf_file_info(path).encoding, span)


def read_sections(path: Path) -> Sections:
    """Return the tags of all sections of a file, entities included."""
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
    """Yield the groups of tags in some spans of bytes, a block at a time. Takes the lines of a block, some 3 MB.

    Raises DXFStructureError for values of a wrong type; with `on_damaged`, skips those groups instead.
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
        # The last group may continue in the next block.
        starts = [at for at, code in enumerate(codes) if code == 0]
        if len(starts) > 1:
            yield [group for at, end in pairwise(starts) for group in compiled(at, end)]
            del codes[: starts[-1]], values[: starts[-1]]
    if codes:
        yield list(compiled(0, len(codes)))


def _read_lines(file: io.BufferedReader, encoding: str, spans: tuple[tuple[int, int], ...]) -> Iterator[list[str]]:
    """Yield lines in blocks of an even number of lines."""
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


def _compile_tags(codes: list[int], values: list[str], index: int, end: int) -> Tags:
    """Return tags `at` to `end` with values converted to their types. Raises DXFStructureError."""
    tags = Tags()
    try:
        while index < end:
            code, value = codes[index], values[index]
            if code in POINT_CODES:
                index += _append_point(tags, codes, values, index, end)
                continue
            index += 1
            if code == COMMENT:
                continue
            if code in BINARY_DATA:
                tags.append(DXFBinaryTag.from_string(code, value))
            else:
                tags.append(DXFTag(code, _parse_value(code, value)))
    except ValueError as error:
        raise DXFStructureError(f"a value has the wrong type ({error})") from error
    return tags


def _parse_value(code: int, text: str) -> object:
    kind = TYPE_TABLE.get(code, str)
    if kind is str:
        return text.strip() if code == 0 else _decode_text(text)
    try:
        return kind(text)
    except ValueError:
        if kind is int:  # some programs write integers with a decimal point
            return int(float(text))
        raise


def _decode_text(text: str) -> str:
    """Decode the character codes that files of any version may contain: \\U+041F, \\M+2A4A4."""
    return decode_mif_to_unicode(decode_dxf_unicode(text)) if "\\" in text else text


def _append_point(tags: Tags, codes: list[int], values: list[str], index: int, end: int) -> int:
    """Append the point that starts at tag `at`. Returns its number of tags."""
    code = codes[index]
    if index + 1 >= end or codes[index + 1] != code + 10:
        raise DXFStructureError("a point lacks its y coordinate")
    if index + 2 < end and codes[index + 2] == code + 20:
        tags.append(DXFVertex(code, (float(values[index]), float(values[index + 1]), float(values[index + 2]))))
        return 3
    tags.append(DXFVertex(code, (float(values[index]), float(values[index + 1]))))
    return 2


def _read_binary_groups(data: bytes) -> Iterator[Tags]:
    groups: Iterator[Tags] = iter(group_tags(tag_compiler(map(_decode_tag, binary_tags_loader(data)))))
    return groups


def _decode_tag(tag: DXFTag) -> DXFTag:
    return DXFTag(tag.code, _decode_text(tag.value)) if isinstance(tag.value, str) else tag


def _group_by_section(groups: Iterator[Tags]) -> Sections:
    """Group by section, like `ezdxf.lldxf.loader.load_dxf_structure`. Raises DXFStructureError."""
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
    raise DXFStructureError("sections are not properly terminated")
