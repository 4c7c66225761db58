"""Plans: formats are detected from content, costs come from headers, and bad files are refused with advice."""

import json
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.plan import Empty, PlanError, TooLarge, Truncated, UnknownFormat, Unsupported, check_memory_limit, plan

MIB = 1024**2

_DXF_TAGS = (
    "0 SECTION 2 HEADER 0 ENDSEC "
    "0 SECTION 2 TABLES 0 TABLE 2 LAYER 0 LAYER 2 0 0 LAYER 2 PIPES 0 ENDTAB 0 ENDSEC "
    "0 SECTION 2 ENTITIES 0 LINE 8 LAYER 0 ENDSEC 0 EOF "
)
DXF = _DXF_TAGS.replace(" ", "\n").encode()


def _png(width: int, height: int, *, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def _jpeg(width: int, height: int, marker: int = 0xC0) -> bytes:
    app = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\x00" + bytes(9)
    frame = bytes([0xFF, marker]) + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8" + app + b"\xff" + frame + b"\xff\xda\x00\x02" + b"\xff\xd9"


def _tiff(width: int, height: int, *, order: str = "<", big: bool = False, pages: int = 1) -> bytes:
    magic = {"<": b"II", ">": b"MM"}[order]
    head = struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8)
    body = magic + head
    for page in range(pages):
        tags = [(256, 4, width), (257, 4, height), (258, 3, 1), (278, 4, height), (273, 4, 8), (279, 4, 4)]
        count, entry, link = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
        block = struct.pack(order + count, len(tags))
        for tag, kind, value in tags:
            form = {3: "H", 4: "I"}[kind]
            packed = struct.pack(order + form, value).ljust(struct.calcsize("=" + link), b"\x00")
            block += struct.pack(order + entry, tag, kind, 1) + packed
        after = len(body) + len(block) + struct.calcsize("=" + link)
        body += block + struct.pack(order + link, after if page + 1 < pages else 0)
    return body


def _webp(kind: bytes, body: bytes) -> bytes:
    chunk = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def _svg(attributes: str, head: str = "") -> bytes:
    return f'<?xml version="1.0"?>{head}<svg xmlns="http://www.w3.org/2000/svg" {attributes}/>'.encode()


def _pdf(body: str = "/Type /Pages /Count 7") -> bytes:
    return f"%PDF-1.7\n1 0 obj << {body} >> endobj\nstartxref\n9\n%%EOF\n".encode()


GOOD = [
    ("png", _png(300, 200), 300, 200, 1, 1),
    ("png", _png(300, 200, colour=6, interlace=1), 300, 200, 1, 1),
    ("jpeg", _jpeg(640, 480), 640, 480, 1, 1),
    ("jpeg", _jpeg(640, 480, 0xC2), 640, 480, 1, 1),
    ("tiff", _tiff(19866, 14043), 19866, 14043, 1, 1),
    ("tiff", _tiff(30, 20, order=">", pages=3), 30, 20, 3, 1),
    ("tiff", _tiff(99213, 70157, big=True), 99213, 70157, 1, 1),
    ("tiff", _tiff(30, 20, order=">", big=True, pages=2), 30, 20, 2, 1),
    ("webp", _webp(b"VP8X", bytes(4) + b"\x3f\x01\x00\xc7\x00\x00"), 320, 200, 1, 1),
    ("webp", _webp(b"VP8L", b"\x2f" + struct.pack("<I", 319 | 199 << 14) + bytes(5)), 320, 200, 1, 1),
    ("webp", _webp(b"VP8 ", b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 320, 200)), 320, 200, 1, 1),
    ("svg", _svg('width="100" height="50px"'), 100, 50, 1, 1),
    ("svg", _svg('width="1in" viewBox="0 0 20 10"'), 96, 48, 1, 1),
    ("svg", _svg('viewBox="0,0,300,150" width="100%"'), 300, 150, 1, 1),
    ("svg", _svg(""), None, None, 1, 1),
    ("svg", "\ufeff".encode() + b"\n" + _svg('width="9" height="9"')[21:], 9, 9, 1, 1),
    ("svg", _svg('width="9" height="9"')[21:].decode().encode("utf-16"), 9, 9, 1, 1),
    ("pdf", _pdf(), None, None, 7, 1),
    ("pdf", b"\n\n" + _pdf("/Type /ObjStm"), None, None, 1, 1),
    ("dxf", DXF, None, None, 1, 2),
    ("dxf", b"999\r\nmade by hand\r\n" + DXF.replace(b"\n", b"\r\n"), None, None, 1, 2),
    ("dxf", b"AutoCAD Binary DXF\r\n\x1a\x00\x00\x00LAYER\x00\x05\x00\x00\x00EOF\x00", None, None, 1, 1),
]

BAD: list[tuple[type[PlanError], str, bytes, str, str]] = [
    (
        Empty,
        "a.png",
        b"",
        "empty",
        "The file is empty. Export the drawing again and check that the upload is complete.",
    ),
    (
        UnknownFormat,
        "scan.TIF",
        b"hello",
        "unknown-format",
        "The file name ends in .tif, but its content is not in a supported format. Send DXF, SVG, PDF, PNG, JPEG,",
    ),
    (UnknownFormat, "", b"GIF89a", "unknown-format", "The content is not in a supported format."),
    (UnknownFormat, "", b"<html></html>", "unknown-format", "This is XML, but not SVG."),
    (UnknownFormat, "", b"<svg", "unknown-format", "This looks like SVG, but it is not well-formed XML ("),
    (
        UnknownFormat,
        "",
        b"<!--" + b"x" * 300_000 + b"-->",
        "unknown-format",
        "This is XML, but it does not start with an SVG element",
    ),
    (
        Unsupported,
        "a.dwg",
        b"AC1032\x00\x00",
        "unsupported",
        "This is a DWG drawing, and no DWG converter is configured. Save it as",
    ),
    (Unsupported, "", b"PK\x03\x04rest", "unsupported", "This is a compressed archive. Unpack it and send the drawing"),
    (Unsupported, "", b"\x1f\x8b\x08rest", "unsupported", "This is a compressed archive."),
    (
        Unsupported,
        "",
        _svg("", '<!DOCTYPE svg [<!ENTITY a "b">]>'),
        "unsupported",
        "The SVG declares XML entities. Save it as plain SVG without a document type.",
    ),
    (Unsupported, "", _png(0, 5), "unsupported", "The PNG header is not valid."),
    (Unsupported, "", _webp(b"ANIM", bytes(20)), "unsupported", "The WebP header is not valid."),
    (Unsupported, "", _tiff(0, 5), "unsupported", "The TIFF has no width or height."),
    (Unsupported, "", b"II*\x00\x08\x00\x00\x00\x00\x00", "unsupported", "The TIFF directory is not valid."),
    (
        Truncated,
        "",
        _png(300, 200)[:-12],
        "truncated",
        "The PNG is truncated: its last chunk is missing. Upload it again.",
    ),
    (
        Truncated,
        "",
        _jpeg(300, 200)[:-2],
        "truncated",
        "The JPEG is truncated: image data is missing. Upload it again.",
    ),
    (Truncated, "", b"\xff\xd8\xff\xe0", "truncated", "The JPEG is truncated: image data is missing. Upload it again."),
    (
        Truncated,
        "",
        _tiff(300, 200)[:40],
        "truncated",
        "The TIFF is truncated: its directory is incomplete. Upload it again.",
    ),
    (Truncated, "", _webp(b"VP8X", bytes(40))[:-1], "truncated", "The WebP file is shorter than its header declares."),
    (Truncated, "", _pdf()[:30], "truncated", "The PDF has no trailer. Upload it again, or print it to a new PDF."),
    (Truncated, "", DXF[:-12], "truncated", "The DXF ends before its EOF marker. Export it again and check"),
]


@pytest.mark.parametrize(("kind", "content", "width", "height", "pages", "layers"), GOOD)
def test_given_a_blueprint_when_planned_then_its_header_is_understood(
    tmp_path: Path, kind: str, content: bytes, width: int, height: int, pages: int, layers: int
) -> None:
    path = tmp_path / "misnamed.txt"
    path.write_bytes(content)

    estimate = plan(path)

    assert (estimate.format, estimate.size) == (kind, len(content))
    assert (estimate.width, estimate.height, estimate.pages, estimate.layers) == (width, height, pages, layers)
    assert estimate.peak_bytes > 50 * MIB
    assert estimate.seconds > 0


@pytest.mark.parametrize(("error", "name", "content", "code", "message"), BAD)
def test_given_an_invalid_file_when_planned_then_the_error_has_a_code_and_says_what_to_do(
    tmp_path: Path, error: type[PlanError], name: str, content: bytes, code: str, message: str
) -> None:
    path = tmp_path / "blueprint"
    path.write_bytes(content)

    with pytest.raises(error) as caught:
        plan(path, name)

    assert caught.value.code == code
    assert caught.value.message.startswith(message)
    assert str(caught.value) == caught.value.message


def test_given_a_tiff_whose_strip_lies_beyond_its_end_when_planned_then_it_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    whole = _tiff(30, 20)
    path.write_bytes(whole.replace(struct.pack("<HHII", 279, 4, 1, 4), struct.pack("<HHII", 279, 4, 1, 4000)))

    with pytest.raises(Truncated, match="The TIFF is truncated: image data is missing"):
        plan(path)


def test_given_directories_that_point_at_each_other_when_planned_then_pages_are_counted_once(tmp_path: Path) -> None:
    path = tmp_path / "loop.tif"
    path.write_bytes(_tiff(30, 20)[:-4] + struct.pack("<I", 8))

    assert plan(path).pages == 1


def test_given_the_same_image_when_interlaced_or_progressive_then_it_needs_more_memory(tmp_path: Path) -> None:
    def peak(content: bytes) -> int:
        (tmp_path / "a").write_bytes(content)
        return plan(tmp_path / "a").peak_bytes

    assert peak(_png(20_000, 20_000, interlace=1)) > 4 * peak(_png(20_000, 20_000))
    assert peak(_jpeg(20_000, 20_000, 0xC2)) > 4 * peak(_jpeg(20_000, 20_000))


def test_given_a_wider_preview_when_planned_then_it_costs_more(tmp_path: Path) -> None:
    path = tmp_path / "a.dxf"
    path.write_bytes(DXF)

    assert plan(path, width=4000).peak_bytes > plan(path, width=2000).peak_bytes
    assert plan(path, width=4000).seconds > plan(path, width=2000).seconds


def test_given_a_plan_above_the_memory_limit_when_checked_then_the_error_has_the_estimate(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(_png(30_000, 20_000, interlace=1))
    huge = plan(path)

    with pytest.raises(TooLarge) as caught:
        check_memory_limit(huge, 512 * MIB)

    assert caught.value.code == "too-large"
    assert caught.value.message == (
        f"Rendering this PNG needs about {huge.peak_bytes / MIB:,.0f} MiB of memory and the memory limit of a "
        "render is 512 MiB. Split the drawing, choose a smaller width, or raise BULKHEAD_MEMORY_LIMIT (on a "
        "server also "
        "BULKHEAD_LARGE_MEMORY_LIMIT)."
    )
    check_memory_limit(huge, huge.peak_bytes)


def test_given_a_plan_when_turned_into_a_dictionary_then_it_is_ready_for_json(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(_png(30, 20))

    assert json.loads(json.dumps(plan(path).as_dict()))["media_type"] == "image/png"


def test_given_the_planner_when_imported_then_it_needs_the_standard_library_alone() -> None:
    code = "import sys; sys.modules['tasks'] = type(sys)('tasks'); sys.modules['tasks'].__path__ = ['tasks']\n"
    code += "import tasks.plan\nprint([n for n in sys.modules if n.split('.')[0] not in sys.stdlib_module_names])"
    output = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, timeout=30)

    assert all(name.split(".")[0] in {"__main__", "tasks"} for name in json.loads(output.stdout.replace("'", '"')))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([content for _kind, content, *_rest in GOOD]), st.data())
def test_given_a_corrupted_blueprint_when_planned_then_it_is_planned_or_raises_a_plan_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "mutilated"
    at = data.draw(st.integers(0, len(content) - 1))
    junk = data.draw(st.binary(max_size=8))
    cut = data.draw(st.integers(at, len(content)))
    path.write_bytes(content[:at] + junk + content[cut if data.draw(st.booleans()) else at + len(junk) :])

    with suppress(PlanError):
        plan(path)
