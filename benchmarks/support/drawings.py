"""Small realistic drawings, generated in microseconds to milliseconds. Different numbers give different drawings."""

import random
import struct
import zlib
from collections.abc import Iterator

# Layers of a vector drawing with their colours (AutoCAD colour index, and its RGB for SVG).
LAYERS = (("WALLS", 7, "#000000"), ("PIPES", 5, "#0000ff"), ("POWER", 1, "#ff0000"), ("TEXT", 3, "#00ff00"))

# Width of renders in benchmarks, pixels.
WIDTH = 256

# Extent of a vector drawing in drawing units.
EXTENT = 400


def dxf(number: int, strokes: int = 60) -> bytes:
    """A DXF (R12) drawing with `strokes` lines and circles on four layers."""
    tags: list[object] = [0, "SECTION", 2, "TABLES", 0, "TABLE", 2, "LAYER", 70, len(LAYERS)]
    for name, colour, _rgb in LAYERS:
        tags += [0, "LAYER", 2, name, 70, 0, 62, colour, 6, "CONTINUOUS"]
    tags += [0, "ENDTAB", 0, "ENDSEC", 0, "SECTION", 2, "ENTITIES"]
    for layer, (x, y, x2, y2) in _strokes(number, strokes):
        tags += [0, "LINE", 8, LAYERS[layer][0], 10, x, 20, y, 11, x2, 21, y2]
        tags += [0, "CIRCLE", 8, LAYERS[layer][0], 10, x, 20, y, 40, 1 + (x + y) % 9]
    tags += [0, "TEXT", 8, "TEXT", 10, 5, 20, 5, 40, 12, 1, f"SHEET {number}", 0, "ENDSEC", 0, "EOF"]
    return ("\n".join(map(str, tags)) + "\n").encode()


def svg(number: int, strokes: int = 60) -> bytes:
    """A similar drawing as SVG."""
    lines = [
        f'<path d="M{x} {y}L{x2} {y2}" stroke="{LAYERS[layer][2]}"/>'
        for layer, (x, y, x2, y2) in _strokes(number, strokes)
    ]
    frame = f'xmlns="http://www.w3.org/2000/svg" width="{EXTENT}" height="{EXTENT}" viewBox="0 0 {EXTENT} {EXTENT}"'
    return f"<svg {frame}>{''.join(lines)}<text x='5' y='20'>SHEET {number}</text></svg>".encode()


def pdf(number: int, strokes: int = 60) -> bytes:
    """A PDF of one page with random strokes and a text."""
    lines = [f"{x1} {y1} m {x2} {y2} l S" for _, (x1, y1, x2, y2) in _strokes(number, strokes)]
    content = "\n".join([*lines, "BT /F1 12 Tf 20 20 Td (Sheet) Tj ET"]).encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 1000 1000] /Contents 4 0 R /Resources 6 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Font << /F1 5 0 R >> >>",
    ]
    data, offsets = bytearray(b"%PDF-1.4\n"), []
    for index, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (index, body)
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    data += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(data)


def tiff(number: int, side: int) -> bytes:
    """An uncompressed grey scan of `side` x `side` pixels: a grid, with the number in its first pixels."""
    ink, paper = b"\x20" * side, b"\xf0" * 31 + b"\x20"
    line = (paper * (side // 32 + 1))[:side]
    grid = b"".join(ink if row % 32 == 0 else line for row in range(side))
    return bytes(tiff_header(side)) + number.to_bytes(8, "big") + grid[8:]


def tiff_header(side: int) -> bytearray:
    """The bytes before the pixels of `tiff` (TIFF 6.0: little-endian, one directory, one strip)."""
    short, long = 3, 4
    entries = [(256, long, side), (257, long, side), (258, short, 8), (259, short, 1), (262, short, 1)]
    entries += [(273, long, 8 + 2 + 10 * 12 + 4), (277, short, 1), (278, long, side), (279, long, side * side)]
    entries += [(296, short, 1)]
    header = bytearray(b"II*\x00" + struct.pack("<IH", 8, len(entries)))
    for tag, kind, value in entries:
        header += struct.pack("<HHII", tag, kind, 1, value)
    return header + struct.pack("<I", 0)


def png(number: int, side: int) -> bytes:
    """The same grey scan as PNG."""
    pixels = tiff(number, side)[len(tiff_header(side)) :]
    rows = b"".join(b"\x00" + pixels[row * side : (row + 1) * side] for row in range(side))
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _strokes(number: int, count: int) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    """Layer and end points of every stroke: pseudo-random, seeded by the number."""
    chance = random.Random(number)
    for index in range(count):
        x, y, x2, y2 = (chance.randrange(EXTENT) for _ in range(4))
        yield index % len(LAYERS), (x, y, x2, y2)
