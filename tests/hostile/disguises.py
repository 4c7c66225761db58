"""Misleading sources: other formats under an image's name, names that are commands, special files, polyglot files, and
truncated files."""

import os
import socket
import struct
from pathlib import Path
from tempfile import TemporaryDirectory

from ezdxf.filemanagement import new

from tests.engine.drawings import text_pdf
from tests.hostile.case import Expected, MakeBytes, hostile_file, hostile_files, special_file
from tests.hostile.documents import page, svg
from tests.hostile.drawings import LINE, dxf
from tests.hostile.images import one_strip, small_png

REFUSED, FAILS, CONTAINED, RENDERS = Expected.REFUSED, Expected.DAMAGED, Expected.CONTAINED, Expected.RENDERS

MVG = "push graphic-context\nviewbox 0 0 64 64\nimage over 0,0 0,0 '{}'\npop graphic-context\n"

_OTHERS: dict[str, MakeBytes] = {
    "mvg_reads_a_file": lambda out: MVG.format(f"text:{out}/secret.txt").encode(),
    "mvg_asks_the_net": lambda _: MVG.format('https://127.0.0.1:9/x.jpg"|touch x"').encode(),
    "mvg_deletes_a_file": lambda out: MVG.format(f"ephemeral:{out}/secret.txt").encode(),
    "label_from_a_file": lambda out: f"label:@{out}/secret.txt".encode(),
    "text_from_passwd": lambda _: b"text:@/etc/passwd",
    "list_of_files": lambda out: f"@{out}/secret.txt".encode(),
    "postscript": lambda out: f"%!PS-Adobe-3.0 EPSF-3.0\n({out}/secret.txt) (r) file showpage\n".encode(),
    "miff": lambda _: b"id=ImageMagick\nclass=DirectClass\ncolumns=99999999\nrows=99999999\n\x0c\n:\x1a",
    "xcf": lambda _: b"gimp xcf file\0" + bytes(99),
    "gif": lambda _: b"GIF89a" + bytes(99),
    "bmp": lambda _: b"BM" + bytes(99),
    "html": lambda _: b"<!DOCTYPE html><html><iframe src='file:///etc/passwd'></iframe></html>",
    "shell": lambda _: b"#!/bin/sh\ntouch x\n",
    "pickle": lambda _: b"cos\nsystem\n(S'touch x'\ntR.",
    "zip": lambda _: b"PK\x03\x04" + bytes(99),
}
hostile_files("other", REFUSED, _OTHERS, ".png")


@hostile_file("other", REFUSED, file="image.jpg")
def msl_writes_a_file(outside: Path) -> bytes:
    """ImageMagick's own scripting language."""
    return f'<image><read filename="{outside}/secret.png"/><write filename="{outside}/new.png"/></image>'.encode()


# Some library interprets each of these names as an instruction; we must not.
_NAMES = (
    "ephemeral:x.png", "msl:x.png", "@x.png", "-.png", "--help.png", "x.png[0]", "x%d.png", "x.png[page=9]",
    "|touch x.png", "`touch x`.png", "fd:0.png", "https:x.png", "line\nbreak.png", "quote'\".png", "a:b=c,d.png",
)  # fmt: skip
for _number, _name in enumerate(_NAMES):

    def _good(_outside: Path) -> bytes:
        return small_png()

    _good.__name__ = f"name_{_number}"
    hostile_file("name", RENDERS, file=_name)(_good)


@special_file("thing", REFUSED, "pipe.png")
def pipe(path: Path, _outside: Path) -> None:
    """Opening it blocks until there is a writer."""
    os.mkfifo(path)


@special_file("thing", REFUSED, "folder.dxf")
def folder(path: Path, _outside: Path) -> None:
    """A directory with a drawing's name."""
    path.mkdir()


@special_file("thing", REFUSED, "zero.png")
def endless_device(path: Path, _outside: Path) -> None:
    """A link to an endless device."""
    path.symlink_to("/dev/zero")


@special_file("thing", REFUSED, "random.pdf")
def random_device(path: Path, _outside: Path) -> None:
    """A link to an endless device of random bytes."""
    path.symlink_to("/dev/urandom")


@special_file("thing", REFUSED, "socket.svg")
def listening_socket(path: Path, _outside: Path) -> None:
    """A Unix socket."""
    with socket.socket(socket.AF_UNIX) as server, TemporaryDirectory() as short:
        server.bind(f"{short}/s")
        Path(short, "s").rename(path)


@special_file("thing", REFUSED, "link.dxf")
def link_to_a_secret(path: Path, outside: Path) -> None:
    """Its target is not a drawing, and no message may quote it."""
    path.symlink_to(outside / "secret.txt")


@special_file("thing", REFUSED, "memory.tiff")
def process_memory(path: Path, _outside: Path) -> None:
    """A link to the memory of the planner's own process."""
    path.symlink_to("/proc/self/mem")


@special_file("thing", REFUSED, "sparse.png")
def terabyte_of_nothing(path: Path, _outside: Path) -> None:
    """A sparse file: a page on disk, hours to read."""
    path.write_bytes(small_png())
    os.truncate(path, 2**40)


hostile_files(
    "thing", REFUSED, {"empty": lambda _: b"", "one_byte": lambda _: b"\x89", "blanks": lambda _: b" " * 9999}, ".dxf"
)


def _tiff() -> bytes:
    return one_strip(64, 64, bytes(64 * 64))


hostile_files(
    "both",
    RENDERS,
    {
        "image_with_an_archive": lambda _: small_png() + b"PK\x03\x04" + bytes(99),
        "image_with_a_page": lambda _: small_png() + page(),
        "drawing_named_tiff": lambda _: dxf(LINE),
        "page_after_a_gif_header": lambda _: b"GIF89a\n" + page(),
    },
    ".tiff",
)
hostile_files(
    "both",
    CONTAINED,
    {
        "page_in_a_drawing": lambda _: dxf(f"999 %PDF-1.7|{LINE}"),
        "drawing_that_says_pdf_first": lambda _: b"999\n%PDF-1.7\n" + dxf(LINE),
        "markup_in_a_page": lambda out: b"<!-- %PDF-1.7 -->" + svg(f'<image xlink:href="{out}/secret.png"/>') + page(),
        "tiff_that_is_a_script": lambda _: _tiff() + b"\n#!/bin/sh\ntouch x\n",
    },
    ".svg",
)


def good(kind: str) -> bytes:
    """Return a valid file of a format."""
    import pyvips

    options = {"png": ".png", "jpeg": ".jpg", "tiff": ".tif[compression=deflate]", "webp": ".webp[lossless]"}.get(kind)
    if options:
        noise = pyvips.Image.gaussnoise(640, 480, mean=128, sigma=40, seed=7)
        return bytes(noise.cast("uchar").write_to_buffer(options))
    with TemporaryDirectory() as scratch:
        path = Path(scratch, "good")
        if kind == "pdf":
            return text_pdf(path, 3).read_bytes()
        document = new("R2000", setup=True)
        document.modelspace().add_lwpolyline([(x, x * x % 97) for x in range(500)])
        if kind == "bdxf":
            document.saveas(path, fmt="bin")
            return path.read_bytes()
        document.saveas(path)
        return path.read_bytes()


def cut(kind: str, percent: int, end: bytes = b"") -> bytes:
    """Return a truncated valid file. `end` appends an end marker, so that the planner accepts it."""
    whole = good(kind)
    return whole[: len(whole) * percent // 100] + end


for _kind in ("png", "jpeg", "webp", "pdf", "dxf", "bdxf"):
    hostile_files("cut", REFUSED, {f"{_kind}_at_half": lambda _, kind=_kind: cut(kind, 50)}, f".{_kind}")  # type: ignore[misc]

hostile_files(
    "cut",
    FAILS,
    {
        "png_with_an_end": lambda _: cut("png", 50, b"\0\0\0\0IEND\xaeB\x60\x82"),
        "jpeg_with_an_end": lambda _: cut("jpeg", 50, b"\xff\xd9"),
        "webp_of_true_length": lambda _: _relabelled(cut("webp", 50)),
        "svg": lambda _: svg("<g>" * 9 + "</g>" * 9)[:-20],
    },
    "",
)
hostile_files(
    "cut",
    CONTAINED,
    {
        "pdf_with_an_end": lambda _: cut("pdf", 50, b"\nstartxref\n9\n%%EOF\n"),
        "dxf_with_an_end": lambda _: cut("dxf", 50, b"\n0\nEOF\n"),
        "bdxf_with_an_end": lambda _: cut("bdxf", 50, b"\x00\x00EOF\x00"),
        "tiff_at_half": lambda _: cut("tiff", 50),
        "tiff_at_ninety": lambda _: cut("tiff", 90),
    },
    "",
)


def _relabelled(data: bytes) -> bytes:
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
