"""TIFF 6.0 and BigTIFF: the first image file directory, and a bounded walk along the others to count pages."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from tasks.plan.model import Header, Truncated, Unsupported

MAX_PAGES = 4096
MAX_ENTRIES = 4096
# Larger strips and tiles are read by scanline, so that only their compressed bytes are held.
SECONDS_PER_PIXEL = 3e-9
_BILEVEL_SECONDS_PER_PIXEL = 1.6e-9

_WIDTH, _HEIGHT, _BITS, _SAMPLES, _ROWS, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 258, 277, 278, 322, 323
_OFFSETS, _COUNTS = {273: 0, 324: 0}, {279: 0, 325: 0}
_FORMATS = {1: "B", 3: "H", 4: "I", 16: "Q"}


@dataclass(frozen=True)
class _Layout:
    """Sizes of a directory's fields: classic TIFF or BigTIFF, in either byte order."""

    order: str
    count: str
    entry: str
    offset: str


_CLASSIC = ("H", "HHI4s", "I")
_BIG = ("Q", "HHQ8s", "Q")


def read(file: BinaryIO, size: int) -> Header:
    """Geometry, pages and decoding cost. Raises `Truncated` or `Unsupported` (a directory that is not one)."""
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in {b"+\x00", b"\x00+"}
    layout = _Layout(order, *(_BIG if big else _CLASSIC))
    try:
        (offset,) = struct.unpack_from(order + layout.offset, head, 8 if big else 4)
        tags, following = _directory(file, layout, offset)
        pages = _pages(file, layout, following, {offset})
        _check_extent(file, layout, tags, size)
        return _header(file, layout, tags, pages)
    except struct.error:
        raise Truncated("The TIFF ends before its directory does. Upload it again.") from None


_Tags = dict[int, tuple[int, int, bytes]]


def _directory(file: BinaryIO, layout: _Layout, offset: int) -> tuple[_Tags, int]:
    file.seek(offset)
    (entries,) = _unpack(file, layout.order + layout.count)
    if not 0 < entries <= MAX_ENTRIES:
        raise Unsupported("The TIFF directory is not valid. Open the picture in an editor and save it again.")
    tags: _Tags = {}
    for _ in range(entries):
        form = layout.order + layout.entry
        tag, kind, count, value = struct.unpack(form, file.read(struct.calcsize(form)))
        tags[tag] = (kind, count, value)
    (following,) = _unpack(file, layout.order + layout.offset)
    return tags, following


def _pages(file: BinaryIO, layout: _Layout, offset: int, seen: set[int]) -> int:
    while offset and offset not in seen and len(seen) < MAX_PAGES:
        seen.add(offset)
        file.seek(offset)
        (entries,) = _unpack(file, layout.order + layout.count)
        file.seek(entries * struct.calcsize("=" + layout.entry), 1)
        (offset,) = _unpack(file, layout.order + layout.offset)
    return len(seen)


def _check_extent(file: BinaryIO, layout: _Layout, tags: _Tags, size: int) -> None:
    for offsets, counts in zip(_OFFSETS, _COUNTS, strict=True):
        if offsets in tags and counts in tags:
            last = tags[offsets][1] - 1
            if _value(file, layout, tags, offsets, last) + _value(file, layout, tags, counts, last) > size:
                raise Truncated("The TIFF ends before its picture does. Upload it again.")


def _header(file: BinaryIO, layout: _Layout, tags: _Tags, pages: int) -> Header:
    def value(tag: int, default: int) -> int:
        return _value(file, layout, tags, tag, 0) if tag in tags else default

    width, height = value(_WIDTH, 0), value(_HEIGHT, 0)
    if not width or not height:
        raise Unsupported("The TIFF has no width or height. Open the picture in an editor and save it again.")
    bits = value(_BITS, 1) * value(_SAMPLES, 1)
    tile_width, tile_height = value(_TILE_WIDTH, width), value(_TILE_HEIGHT, min(value(_ROWS, height), 256))
    band = -(-max(width, tile_width) * min(tile_height, 4096) * max(bits, 8) // 8)
    counts = next((tag for tag in _COUNTS if tag in tags), 0)
    packed = value(counts, 0)
    speed = _BILEVEL_SECONDS_PER_PIXEL if bits == 1 else SECONDS_PER_PIXEL
    return Header(width, height, pages, working_bytes=2 * band + packed, seconds=speed * width * height)


def _value(file: BinaryIO, layout: _Layout, tags: _Tags, tag: int, index: int) -> int:
    kind, count, raw = tags[tag]
    form = _FORMATS.get(kind)
    if form is None or not 0 <= index < count:
        raise Unsupported(f"TIFF tag {tag} is not valid. Open the picture in an editor and save it again.")
    step = struct.calcsize(form)
    if count * step <= len(raw):
        return int(struct.unpack_from(layout.order + form, raw, index * step)[0])
    (offset,) = struct.unpack(layout.order + layout.offset, raw)
    file.seek(offset + index * step)
    return int(_unpack(file, layout.order + form)[0])


def _unpack(file: BinaryIO, form: str) -> tuple[int, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))
