"""Mutate files, deterministically for a given random generator.

Some mutators know the format and keep checksums valid, so that changes get past the first checks.
"""

import re
import struct
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias

Mutator: TypeAlias = Callable[[bytes, Random], bytes]

HEADER = 512  # most formats have their sizes here
MAX_BYTES = 256 * 1024  # limit for repeated duplication

CHANGES = (1, 1, 1, 2, 2, 3, 6)
FORMAT_AWARE_SHARE = 0.7  # share of files that only format-aware mutators change

_INTEGERS = (0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_FLOATS = (0.0, -0.0, 1e-320, 1e-9, -1.0, 1e9, 1e38, 1e300, -1e300, 1.7e308, float("inf"), float("-inf"), float("nan"))
_NUMBERS = ("0", "-1", "1", "nan", "inf", "-inf", "1e300", "-1e300", "1e-300", "1e10", "65536", "2147483647")
_NUMBERS_TOO_LARGE = ("-2147483648", "4294967295", "99999999999999999999")
_OTHER_WORDS = ("0.0", "", "x", "%%", "\\P\\H1e9;{\\", "\x00", "é" * 40, "A" * 3000)
_WORDS = _NUMBERS + _NUMBERS_TOO_LARGE + _OTHER_WORDS
_ENTITIES = ("LINE", "HATCH", "INSERT", "POLYLINE", "VERTEX", "SEQEND", "LWPOLYLINE", "SPLINE", "MTEXT", "TEXT", "MESH")
_MORE_ENTITIES = ("ATTRIB", "VIEWPORT", "DIMENSION", "ELLIPSE", "ARC", "LEADER", "MULTILEADER", "IMAGE", "WIPEOUT")
_FRAMES = ("BLOCK", "ENDBLK", "SECTION", "ENDSEC", "EOF", "LAYER", "3DSOLID", "ACAD_TABLE", "DICTIONARY")
_NAMES = _ENTITIES + _MORE_ENTITIES + _FRAMES
_CODES = (0, 1, 2, 3, 5, 8, 10, 20, 30, 40, 41, 42, 50, 62, 66, 67, 70, 71, 72, 73, 78, 90, 91, 92, 93, 100, 210, 330)
_TAGS = (254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 320, 322, 323, 324, 325, 338)  # of TIFF
_PNG = b"\x89PNG\r\n\x1a\n"

# The required end marker of a format. It is restored in half of the files.
_ENDS = {
    "dxf": b"  0\nEOF\n",
    "dxf-binary": b"\x00\x00EOF\x00",
    "pdf": b"\nstartxref\n0\n%%EOF\n",
    "png": b"\x00\x00\x00\x00IEND\xaeB`\x82",
    "jpeg": b"\xff\xd9",
}


def mutate(data: bytes, others: Sequence[bytes], family: str, random: Random) -> bytes:
    """Apply one to six changes to `data`. `others` are files of its family to splice from."""
    format_aware = random.random() < FORMAT_AWARE_SHARE
    mutators = _FORMAT_MUTATORS.get(family, _GENERIC_MUTATORS) if format_aware else _GENERIC_MUTATORS
    if not format_aware and random.random() < 0.1:
        data = splice(data, random.choice(others), random)
    for _ in range(random.choice(CHANGES)):
        data = random.choice(mutators)(data, random)[:MAX_BYTES] or b"\x00"
    end = _ENDS.get(family, b"")
    return data + end if end not in data[-len(end) - 16 :] and random.random() < 0.5 else data


def splice(data: bytes, other: bytes, random: Random) -> bytes:
    """Join the beginning of one file and the end of another."""
    return data[: random.randint(1, len(data))] + other[random.randrange(len(other)) :]


def flip_bits(data: bytes, random: Random) -> bytes:
    """Flip up to sixteen bits."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 16)):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def overwrite(data: bytes, random: Random) -> bytes:
    """Overwrite up to 64 bytes."""
    at, count = random.randrange(len(data)), random.randint(1, 64)
    run = random.choice((bytes(count), b"\xff" * count, random.randbytes(count)))
    return data[:at] + run[: len(data) - at] + data[at + count :]


def truncate(data: bytes, random: Random) -> bytes:
    """Truncate at a random byte."""
    return data[: random.randint(1, len(data))]


def cut(data: bytes, random: Random) -> bytes:
    """Remove up to 256 bytes."""
    at = random.randrange(len(data))
    return data[:at] + data[at + random.randint(1, 256) :]


def duplicate(data: bytes, random: Random) -> bytes:
    """Insert a copy of up to 1 KiB elsewhere."""
    start, at = random.randrange(len(data)), random.randrange(len(data))
    return data[:at] + data[start : start + random.randint(1, 1024)] + data[at:]


def set_number(data: bytes, random: Random) -> bytes:
    """Change an integer of 1 to 8 bytes, mostly in the header, to an edge value or by one."""
    size, order = random.choice((1, 2, 4, 8)), random.choice(("<", ">"))
    form = order + {1: "B", 2: "H", 4: "I", 8: "Q"}[size]
    at = _choose_offset(data, size, random)
    if at is None:
        return data
    (old,) = struct.unpack_from(form, data, at)
    new = random.choice((*_INTEGERS, old + 1, old - 1, old * 2, old ^ 0xFF00, random.getrandbits(8 * size)))
    return data[:at] + struct.pack(form, new % (1 << 8 * size)) + data[at + size :]


def swap_numbers(data: bytes, random: Random) -> bytes:
    """Swap two integers of 16 or 32 bits."""
    size = random.choice((2, 4))
    first, second = _choose_offset(data, size, random), _choose_offset(data, size, random)
    if first is None or second is None or abs(first - second) < size:
        return data
    low, high = sorted((first, second))
    return (
        data[:low] + data[high : high + size] + data[low + size : high] + data[low : low + size] + data[high + size :]
    )


def set_real(data: bytes, random: Random) -> bytes:
    """Overwrite eight bytes with an edge-case double."""
    at = random.randrange(len(data))
    return data[:at] + struct.pack("<d", random.choice(_FLOATS)) + data[at + 8 :]


def change_dxf(data: bytes, random: Random) -> bytes:
    """Change one to four tags of a DXF, mostly after its header: codes, values, names, order."""
    lines = data.split(b"\n")
    body = next((at for at, line in enumerate(lines) if line.strip() in {b"BLOCKS", b"ENTITIES"}), 0)
    for _ in range(random.randint(1, 4)):
        pairs = len(lines) // 2
        if pairs < 2:
            return data
        first = body // 2 if random.random() < 0.67 and body // 2 < pairs else 0
        at = 2 * random.randrange(first, pairs)
        other = 2 * random.randrange(first, pairs)
        _change_tag(lines, at, other, random)
    return b"\n".join(lines)


def _change_tag(lines: list[bytes], at: int, other: int, random: Random) -> None:
    kind = random.randrange(10)
    if kind < 4:
        lines[at + 1] = random.choice(_WORDS).encode()
    elif kind == 4:
        lines[at + 1] = lines[other + 1]
    elif kind == 5:
        lines[at] = str(random.choice(_CODES)).encode()
    elif kind == 6:
        if lines[at].strip() == b"0":
            lines[at + 1] = random.choice(_NAMES).encode()
        lines[at : at + 2] *= 2
    elif kind == 7:
        del lines[at : at + 2]
    elif kind == 8:
        lines[at:at] = [str(random.choice(_CODES)).encode(), random.choice(_WORDS).encode()]
    else:
        lines[at : at + 2], lines[other : other + 2] = lines[other : other + 2], lines[at : at + 2]


def change_dxf_blocks(data: bytes, random: Random) -> bytes:
    """Move or duplicate a whole entity of a DXF; blocks may come to contain others, or themselves."""
    entities = re.split(rb"(?m)^(?= *0\r?\n)", data)
    if len(entities) < 3:
        return data
    at, to = random.randrange(len(entities)), random.randrange(len(entities))
    entity = entities[at] if random.random() < 0.5 else entities.pop(at)
    entities.insert(to, entity)
    return b"".join(entities)


def change_text(data: bytes, random: Random) -> bytes:
    """Change one to four tokens of a PDF or SVG: numbers, names, quoted strings."""
    for _ in range(random.randint(1, 4)):
        matches = list(_TOKEN.finditer(data))
        if not matches:
            return data
        chosen = random.choice(matches)
        similar = [other[0] for other in matches if other[0][:1].isdigit() == chosen[0][:1].isdigit()]
        word = random.choice(_WORDS).encode() if random.random() < 0.6 else random.choice(similar)
        data = data[: chosen.start()] + word + data[chosen.end() :]
    return data


def nest_svg(data: bytes, random: Random) -> bytes:
    """Nest an element of an SVG inside others, once or many times."""
    matches = list(_ELEMENT.finditer(data))
    if not matches:
        return data
    chosen, place = random.choice(matches)[0], random.choice(matches).start()
    depth = random.choice((1, 3, 50, 500))
    return data[:place] + b"<g transform='scale(1.01)'>" * depth + chosen + b"</g>" * depth + data[place:]


def change_png(data: bytes, random: Random) -> bytes:
    """Change a chunk's content and correct its checksum. Image data is decompressed, changed and compressed again."""
    chunks = _chunks(data)
    if not chunks:
        return data
    at = random.randrange(len(chunks))
    kind, body = chunks[at]
    damage = random.choice((flip_bits, overwrite, set_number, cut, duplicate))
    if kind == b"IDAT" and random.random() < 0.7:
        try:
            rows = zlib.decompressobj().decompress(body, MAX_BYTES)
        except zlib.error:
            rows = body
        body = zlib.compress(damage(rows or b"\x00", random))
    else:
        body = damage(body or b"\x00", random)
    chunks[at] = (kind, body)
    if random.random() < 0.2:
        chunks.insert(random.randrange(len(chunks)), random.choice(chunks))
    return _PNG + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def change_tiff(data: bytes, random: Random) -> bytes:
    """Change an entry of a classic TIFF's first directory: its tag, type, count or value."""
    order = "<" if data[:2] == b"II" else ">"
    if len(data) < 8 or data[2:3] == b"+" or data[3:4] == b"+":
        return set_number(data, random)
    (at,) = struct.unpack_from(order + "I", data, 4)
    if at + 2 > len(data):
        return data
    (entries,) = struct.unpack_from(order + "H", data, at)
    entry = at + 2 + 12 * random.randrange(max(1, entries))
    if entry + 12 > len(data):
        return data
    tag, kind, count, value = struct.unpack_from(order + "HHII", data, entry)
    part = random.randrange(6)
    if part == 0:
        tag = random.choice(_TAGS)
    elif part == 1:
        kind = random.randrange(19)
    elif part == 2:
        count = random.choice((*_INTEGERS, count + 1, max(0, count - 1)))
    else:
        value = random.choice((*_INTEGERS, value + 1, max(0, value - 1), value << 16 & 0xFFFFFFFF, len(data)))
    changed = struct.pack(order + "HHII", tag, kind, count & 0xFFFFFFFF, value & 0xFFFFFFFF)
    return data[:entry] + changed + data[entry + 12 :]


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, at = [], len(_PNG)
    while data.startswith(_PNG) and at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def _choose_offset(data: bytes, size: int, random: Random) -> int | None:
    last = len(data) - size
    if last < 0:
        return None
    return random.randint(0, min(last, HEADER) if random.random() < 0.7 else last)


_TOKEN = re.compile(rb"-?\d+\.?\d*|[A-Za-z][A-Za-z-]{1,20}|(?<=')[^']{1,40}(?=')")
_ELEMENT = re.compile(rb"<(\w+)[^<>/]*/>|<(\w+)[^<>]*>[^<>]*</\2>")

_GENERIC_MUTATORS: tuple[Mutator, ...] = (flip_bits, overwrite, truncate, cut, duplicate, set_number, swap_numbers)
_FORMAT_MUTATORS: dict[str, tuple[Mutator, ...]] = {
    "dxf": (change_dxf, change_dxf, change_dxf_blocks),
    "dxf-binary": (set_real, set_number),
    "pdf": (change_text,),
    "svg": (change_text, change_text, nest_svg),
    "png": (change_png,),
    "tiff": (change_tiff,),
    "jpeg": (set_number, flip_bits),
    "webp": (set_number, flip_bits),
}
