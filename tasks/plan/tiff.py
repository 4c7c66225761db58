"""TIFF 6.0 and BigTIFF: reads the image file directory of a page, and counts the directories up to a limit."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from tasks.plan.model import Header, NoSuchPage, Truncated, Unsupported

MAX_PAGES = 4096
MAX_ENTRIES = 4096
MAX_BAND_ROWS = 256  # longer strips are decoded by scanline, so only their compressed bytes are in memory
SECONDS_PER_PIXEL = 3e-9
BILEVEL_SECONDS_PER_PIXEL = 1.6e-9

_WIDTH, _HEIGHT, _BITS, _SAMPLES, _ROWS, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 258, 277, 278, 322, 323
_COMPRESSION, _PHOTOMETRIC, _PLANES = 259, 262, 284
_UNCOMPRESSED = 1
_DEFLATE = frozenset({8, 32946})
_JPEG = frozenset({6, 7})  # decoded strip by strip, as are planar images
_PLANAR = 2
_GREY = frozenset({0, 1})
_WITH_ALPHA = frozenset({2, 4})
_OFFSETS_AND_COUNTS = ((273, 279), (324, 325))  # of strips, of tiles
_STRUCT_CODES = {1: "B", 3: "H", 4: "I", 16: "Q"}

_Tags = dict[int, tuple[int, int, bytes]]  # type, count, value or offset


def read_header(file: BinaryIO, size: int, page: int = 1) -> Header:
    """Read the geometry and decoding cost of a page, and the number of pages.

    Raises `NoSuchPage`, `Truncated` or `Unsupported` (an invalid directory).
    """
    reader, pages = _open(file, size)
    if page > len(pages):
        raise NoSuchPage(f"There is no page {page}; this TIFF has {len(pages)}.")
    tags = reader.directory(pages[page - 1])
    reader.check_extent(tags)
    return _header(reader, tags, len(pages))


def deflate_blocks(file: BinaryIO, size: int, page: int) -> Iterator[tuple[int, int]]:
    """Yield offset and size of each strip or tile of a Deflate-compressed page; nothing for other pages."""
    reader, pages = _open(file, size)
    tags = reader.directory(pages[page - 1])
    if reader.value(tags, _COMPRESSION, default=1) not in _DEFLATE:
        return
    for offsets, counts in _OFFSETS_AND_COUNTS:
        if offsets in tags and counts in tags:
            for index in range(min(tags[offsets][1], tags[counts][1])):
                yield reader.value(tags, offsets, index), reader.value(tags, counts, index)


def _open(file: BinaryIO, size: int) -> tuple["_Reader", list[int]]:
    """Return a reader of `file`, which is at its start, and the offsets of the pages' directories."""
    head = file.read(4)
    order = "<" if head[:2] == b"II" else ">"
    reader = _Reader(file, size, order, "QHHQ8sQ") if b"+" in head else _Reader(file, size, order, "HHHI4sI")
    (first,) = reader.unpack(8 if b"+" in head else 4, reader.link_format)
    return reader, reader.pages(first)


@dataclass(frozen=True)
class _Reader:
    """Bounded reads of one file.

    `formats` are the struct codes of a directory: entry count, the fields of an entry, and the offset of the next one.
    """

    file: BinaryIO
    size: int
    order: str
    formats: str

    @property
    def link_format(self) -> str:
        return self.formats[-1]

    @property
    def entry_format(self) -> str:
        return self.formats[1:-1]

    def unpack(self, offset: int, form: str) -> tuple[Any, ...]:
        length = struct.calcsize("=" + form)
        if offset + length > self.size:
            raise Truncated("The TIFF is truncated: its directory is incomplete. Upload it again.")
        self.file.seek(offset)
        return struct.unpack(self.order + form, self.file.read(length))

    def directory(self, offset: int) -> _Tags:
        """Return the entries of the directory at `offset`."""
        entries, end = self._directory_bounds(offset)
        entry_size = struct.calcsize("=" + self.entry_format)
        fields = [self.unpack(end - entry_size * remaining, self.entry_format) for remaining in range(entries, 0, -1)]
        return {tag: (kind, count, raw) for tag, kind, count, raw in fields}

    def pages(self, first: int) -> list[int]:
        """Return the offsets of all directories, in order. A cycle ends the list."""
        seen, offset = {first: None}, self._next_directory(first)
        while offset and offset not in seen and len(seen) < MAX_PAGES:
            seen[offset] = None
            offset = self._next_directory(offset)
        return list(seen)

    def value(self, tags: _Tags, tag: int, index: int = 0, default: int = 0) -> int:
        """Return one number of `tag`, or `default` if the directory lacks the tag."""
        if tag not in tags:
            return default
        kind, count, raw = tags[tag]
        code = _STRUCT_CODES.get(kind)
        if code is None or not 0 <= index < count:
            raise Unsupported(f"TIFF tag {tag} is not valid. Open the image in an editor and save it again.")
        item_size = struct.calcsize("=" + code)
        if count * item_size <= len(raw):
            return int(struct.unpack_from(self.order + code, raw, index * item_size)[0])
        (offset,) = struct.unpack(self.order + self.link_format, raw)
        return int(self.unpack(offset + index * item_size, code)[0])

    def check_extent(self, tags: _Tags) -> None:
        """Raise `Truncated` if the last strip or tile ends beyond the end of the file."""
        for offsets, counts in _OFFSETS_AND_COUNTS:
            if offsets in tags and counts in tags:
                last_index = tags[offsets][1] - 1
                if self.value(tags, offsets, last_index) + self.value(tags, counts, last_index) > self.size:
                    raise Truncated("The TIFF is truncated: image data is missing. Upload it again.")

    def _next_directory(self, offset: int) -> int:
        """Return the offset of the directory that follows the one at `offset`; 0 after the last."""
        return int(self.unpack(self._directory_bounds(offset)[1], self.link_format)[0])

    def _directory_bounds(self, offset: int) -> tuple[int, int]:
        """Return the number of entries of the directory at `offset`, and the offset after them."""
        (entries,) = self.unpack(offset, self.formats[0])
        if not 0 < entries <= MAX_ENTRIES:
            raise Unsupported("The TIFF directory is not valid. Open the image in an editor and save it again.")
        return entries, offset + struct.calcsize("=" + self.formats[0]) + entries * struct.calcsize(
            "=" + self.entry_format
        )


def _header(reader: _Reader, tags: _Tags, pages: int) -> Header:
    width, height = reader.value(tags, _WIDTH), reader.value(tags, _HEIGHT)
    if not width or not height:
        raise Unsupported("The TIFF has no width or height. Open the image in an editor and save it again.")
    samples, compression = reader.value(tags, _SAMPLES, default=1), reader.value(tags, _COMPRESSION, default=1)
    bits = reader.value(tags, _BITS, default=1) * samples
    by_strip = compression in _JPEG or reader.value(tags, _PLANES, default=1) == _PLANAR
    rows = min(reader.value(tags, _ROWS, default=height), height, height if by_strip else MAX_BAND_ROWS)
    row_bytes = max(width, reader.value(tags, _TILE_WIDTH)) * max(bits, 8) // 8
    band = row_bytes * max(rows, reader.value(tags, _TILE_HEIGHT))
    compressed_bytes = max(reader.value(tags, counts) for _offsets, counts in _OFFSETS_AND_COUNTS)
    grey = samples == 1 and reader.value(tags, _PHOTOMETRIC) in _GREY
    seconds_per_pixel = BILEVEL_SECONDS_PER_PIXEL if bits == 1 else SECONDS_PER_PIXEL
    return Header(
        width,
        height,
        pages,
        working_bytes=2 * band + (compressed_bytes if compression != _UNCOMPRESSED else 0),
        seconds=seconds_per_pixel * width * height,
        channels=1 if grey else 4 if samples in _WITH_ALPHA else 3,
    )
