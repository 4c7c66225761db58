"""Raster images with false headers, and decompression bombs."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from tests.hostile.case import Expected, hostile_file, hostile_files

REFUSED, FAILS, CONTAINED, RENDERS = Expected.REFUSED, Expected.DAMAGED, Expected.CONTAINED, Expected.RENDERS

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
MOST = 2**31 - 1  # a PNG's longest side
MIB = 1024**2


def zeros(mebibytes: int) -> bytes:
    """Compress this many MiB of zeros to a thousandth. Repeats one compressed MiB, which is faster."""
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = (mebibytes * MIB % 65521) << 16 | 1
    return b"\x78\x9c" + block * mebibytes + b"\x03\x00" + struct.pack(">I", checksum)


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int, height: int, data: bytes = b"", *, depth: int = 8, colour: int = 2, lace: int = 0, extra: bytes = b""
) -> bytes:
    """Return a PNG with the given header and compressed `data`."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, lace))
    return PNG_MAGIC + header + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def small_png() -> bytes:
    """Return a valid PNG of 8 by 8 pixels."""
    return png(8, 8, zlib.compress(bytes(8 * 9)), colour=0)


def jpeg(width: int, height: int, *, frame: int = 0xC0, components: int = 3, scan: bytes = b"") -> bytes:
    """Return a JPEG with valid headers and any scan data."""
    parts = b"".join(bytes((number + 1 & 0xFF, 0x11, 0)) for number in range(components))
    body = struct.pack(">BHHB", 8, height, width, components) + parts
    head = b"\xff\xd8" + bytes((0xFF, frame)) + struct.pack(">H", len(body) + 2) + body
    return head + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + scan + b"\xff\xd9"


def tiff(tags: Sequence[tuple[int, int, int, int]], data: bytes = b"", *, following: int = 0) -> bytes:
    """Return a TIFF of one directory; `data` begins at byte `at(len(tags))`. A tag is (number, type, count, value)."""
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\x00" + struct.pack("<I", 8) + directory + struct.pack("<I", following) + data


def bigtiff(count: int, tags: Sequence[tuple[int, int, int, int]]) -> bytes:
    """Return a BigTIFF whose directory declares `count` entries."""
    directory = struct.pack("<Q", count) + b"".join(struct.pack("<HHQQ", *tag) for tag in sorted(tags))
    return b"II+\x00" + struct.pack("<HHQ", 8, 0, 16) + directory + bytes(8)


def image_tags(
    width: int, height: int, *more: tuple[int, int, int, int], bits: int = 8, packed: int = 1
) -> list[tuple[int, int, int, int]]:
    """Return the tags of a grey image; `more` adds or replaces tags."""
    tags = {256: (256, 4, 1, width), 257: (257, 4, 1, height), 258: (258, 3, 1, bits), 259: (259, 3, 1, packed)}
    tags |= {262: (262, 3, 1, 1), 277: (277, 3, 1, 1), 278: (278, 4, 1, height)}
    return list((tags | {tag[0]: tag for tag in more}).values())


def at(entries: int) -> int:
    """Return the offset of the data in `tiff`."""
    return 8 + 6 + 12 * entries


def one_strip(width: int, height: int, data: bytes, *more: tuple[int, int, int, int], packed: int = 1) -> bytes:
    """Return a TIFF of one valid strip."""
    tags = image_tags(width, height, (273, 4, 1, 0), (279, 4, 1, len(data)), *more, packed=packed)
    tags = [tag if tag[0] != 273 else (273, 4, 1, at(len(tags))) for tag in tags]
    return tiff(tags, data)


def webp(*chunks: tuple[bytes, bytes], length: int | None = None) -> bytes:
    """Return a WebP container."""
    body = b"".join(kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4 if length is None else length) + b"WEBP" + body


def canvas(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    """Return the WebP chunk with the canvas size."""
    return b"VP8X", bytes((flags, 0, 0, 0)) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def lossless(width: int, height: int) -> tuple[bytes, bytes]:
    """Return a frame of one colour: every prefix code has a single symbol, so pixels take no bits."""
    bits = (width - 1) | (height - 1) << 14
    return b"VP8L", b"\x2f" + struct.pack("<I", bits) + b"\x88\x88\x08\x00\x00\x00\x00\x00"


hostile_files(
    "png",
    REFUSED,
    {
        "two_billion_square": lambda _: png(MOST, MOST, zeros(1)),
        "two_billion_wide": lambda _: png(MOST, 1, zeros(1)),
        "no_width": lambda _: png(0, 10, zeros(1)),
        "depth_of_three": lambda _: png(10, 10, zeros(1), depth=3),
        "colour_five": lambda _: png(10, 10, zeros(1), colour=5),
        "interlaced_giant": lambda _: png(30_000, 30_000, zeros(1), lace=1),
        "bomb_of_ten_gigabytes": lambda _: png(50_000, 50_000, zeros(64), colour=6),
        "header_is_no_header": lambda _: PNG_MAGIC + chunk(b"IDAT", bytes(13)) + chunk(b"IEND", b""),
    },
)
hostile_files(
    "png",
    FAILS,
    {
        "two_billion_tall": lambda _: png(1, MOST, zeros(1), colour=0),
        "rows_missing": lambda _: png(4000, 4000, zlib.compress(bytes(10))),
        "chunk_of_four_gigabytes": lambda _: png(64, 64, zeros(1)).replace(b"IDAT", b"\xff\xff\xff\xffIDAT", 1),
        "data_is_rubbish": lambda _: png(64, 64, b"\xde\xad\xbe\xef" * 99),
    },
)
hostile_files(
    "png",
    CONTAINED,
    {
        "bomb_of_rows": lambda _: png(12_000, 12_000, zeros(138), colour=0),
        "bomb_of_more_than_its_rows": lambda _: png(64, 64, zeros(256)),
        "bomb_in_a_text": lambda _: png(
            8, 8, zlib.compress(bytes(72)), colour=0, extra=chunk(b"zTXt", b"k\0\0" + zeros(400))
        ),
        "bomb_in_a_profile": lambda _: png(
            8, 8, zlib.compress(bytes(200)), extra=chunk(b"iCCP", b"k\0\0" + zeros(400))
        ),
        "interlaced_to_disk": lambda _: png(8000, 8000, zeros(190), lace=1),
        "palette_without_colours": lambda _: png(8, 8, zlib.compress(bytes(72)), colour=3),
        "thousands_of_texts": lambda _: png(
            8, 8, zlib.compress(bytes(72)), colour=0, extra=chunk(b"tEXt", b"k\0v") * 50_000
        ),
    },
)
hostile_files(
    "jpeg",
    REFUSED,
    {
        "progressive_giant": lambda _: jpeg(65_500, 65_500, frame=0xC2),
        "giant": lambda _: jpeg(65_500, 65_500),
        "no_height": lambda _: jpeg(100, 0),
        "segments_that_go_back": lambda _: b"\xff\xd8" + b"\xff\xe0\x00\x00" * 9999 + b"\xff\xd9",
        "nothing_but_fill": lambda _: b"\xff\xd8" + b"\xff" * MIB + b"\xff\xd9",
        "thousands_of_segments": lambda _: b"\xff\xd8" + b"\xff\xe1\x00\x02" * 250_000 + b"\xff\xd9",
    },
)
hostile_files(
    "jpeg",
    FAILS,
    {
        "no_scan": lambda _: jpeg(8000, 8000),
        "components_255": lambda _: jpeg(64, 64, components=255),
        "tables_missing": lambda _: jpeg(64, 64, scan=bytes(500)),
    },
)
hostile_files(
    "tiff",
    REFUSED,
    {
        "four_billion_square": lambda _: one_strip(2**32 - 1, 2**32 - 1, bytes(64)),
        "strip_outside": lambda _: tiff(image_tags(64, 64, (273, 4, 1, 10**9), (279, 4, 1, 64))),
        "strip_longer_than_the_file": lambda _: tiff(image_tags(64, 64, (273, 4, 1, 8), (279, 4, 1, 2**32 - 1))),
        "four_billion_strips": lambda _: tiff(image_tags(64, 64, (273, 4, 2**32 - 1, 8), (279, 4, 2**32 - 1, 8))),
        "no_strips_at_all": lambda _: tiff(image_tags(64, 64, (273, 4, 0, 8), (279, 4, 0, 8))),
        "directory_outside": lambda _: b"II*\x00" + struct.pack("<I", 2**32 - 2) + bytes(99),
        "directory_of_nothing": lambda _: tiff([]),
        "width_is_a_text": lambda _: tiff([(256, 2, 4, 0), *image_tags(64, 64)[1:]]),
        "width_of_odd_type": lambda _: tiff([(256, 99, 1, 64), *image_tags(64, 64)[1:]]),
        "samples_65535": lambda _: one_strip(9000, 9000, bytes(64), (277, 3, 1, 65_535), (258, 3, 1, 65_535)),
        "big_entries_without_end": lambda _: bigtiff(2**64 - 1, image_tags(64, 64)),
        "big_strips_without_end": lambda _: bigtiff(
            9, image_tags(64, 64, (273, 16, 2**63, 2**63), (279, 16, 2**63, 2**63))
        ),
        "big_width_without_end": lambda _: bigtiff(9, [(256, 16, 1, 2**64 - 1), *image_tags(64, 64)[1:]]),
        "big_directory_outside": lambda _: b"II+\x00" + struct.pack("<HHQ", 8, 0, 2**64 - 8) + bytes(99),
    },
)


@hostile_file("tiff", FAILS)
def first_strips_outside(_outside: Path) -> bytes:
    """Only the last strip is valid, which is the one that the planner checks."""
    tags = image_tags(64, 64, (278, 4, 1, 16), (273, 4, 4, 0), (279, 4, 4, 0))
    start = at(len(tags))
    tags = [{273: (273, 4, 4, start), 279: (279, 4, 4, start + 16)}.get(tag[0], tag) for tag in tags]
    offsets = struct.pack("<4I", 2**32 - 16, 2**31, 2**30, start)
    return tiff(tags, offsets + struct.pack("<4I", 1024, 1024, 1024, 32))


@hostile_file("tiff", FAILS)
def strip_of_rubbish(_outside: Path) -> bytes:
    """A compressed strip with invalid data."""
    return one_strip(512, 512, b"\xde\xad\xbe\xef" * 99, packed=8)


@hostile_file("tiff", CONTAINED)
def directories_in_a_circle(_outside: Path) -> bytes:
    """A cyclic chain of pages."""
    good = one_strip(64, 64, bytes(64 * 64))
    end = 8 + 2 + 12 * 9
    return good[:end] + struct.pack("<I", 8) + good[end + 4 :]


@hostile_file("tiff", CONTAINED)
def pages_by_the_thousand(_outside: Path) -> bytes:
    """Each page has its own directory; all share one strip."""
    tags = image_tags(8, 8, (273, 4, 1, 8), (279, 4, 1, 64))
    page = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    head = b"II*\x00" + struct.pack("<I", 72) + bytes(64)
    step = len(page) + 4
    return head + b"".join(page + struct.pack("<I", 72 + step * (number + 1) % (step * 9000)) for number in range(9000))


@hostile_file("tiff", CONTAINED)
def bomb_of_one_strip(_outside: Path) -> bytes:
    """A strip of 250 kB that decompresses to 250 MB."""
    return one_strip(16_384, 16_384, zeros(256), packed=8)


@hostile_file("tiff", CONTAINED)
def bomb_of_more_than_its_rows(_outside: Path) -> bytes:
    """A strip that decompresses to far more than its rows need."""
    return one_strip(64, 64, zeros(512), packed=8)


hostile_files(
    "webp",
    REFUSED,
    {
        "canvas_without_end": lambda _: webp(canvas(2**24, 2**24), lossless(8, 8)),
        "bomb_of_a_gigabyte": lambda _: webp(lossless(16_383, 16_383)),
        "longer_than_the_file": lambda _: webp(lossless(64, 64), length=2**32 - 16),
        "first_chunk_unknown": lambda _: webp((b"ALPH", bytes(40))),
        "no_width": lambda _: webp((b"VP8 ", b"\x10\x00\x00\x9d\x01\x2a" + bytes(60))),
    },
)
hostile_files(
    "webp",
    CONTAINED,
    {
        "frame_beyond_its_canvas": lambda _: webp(canvas(64, 64), lossless(16_383, 16_383)),
        "frames_by_the_thousand": lambda _: webp(
            canvas(4096, 4096, 2), (b"ANIM", bytes(6)), *[(b"ANMF", bytes(16) + webp(lossless(1, 1))[12:])] * 9999
        ),
        "rubbish_behind_its_header": lambda _: webp(
            (b"VP8 ", b"\x10\x00\x00\x9d\x01\x2a\x00\x10\x00\x10" + b"\xff" * 90)
        ),
    },
)
