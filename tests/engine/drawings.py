"""Generate blueprints, and read the pixels of renders."""

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ezdxf.document import Drawing

from workers.render import Manifest
from workers.render.manifest import Layer


def save(document: Drawing, path: Path) -> Path:
    """Write a drawing and return its path."""
    document.saveas(path)
    return path


def pixels(path: Path) -> npt.NDArray[np.uint8]:
    """Return the pixels of a WebP, (height, width, 3 or 4)."""
    import pyvips

    return np.asarray(pyvips.Image.new_from_file(str(path)).numpy())


def png(width: int, height: int, rows: bytes, *, colour: int = 2, depth: int = 8, interlace: int = 0) -> bytes:
    """Return a PNG with the given header and rows, which need not match."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def text_pdf(path: Path, pages: int = 1) -> Path:
    """Write a PDF of A4 landscape pages with a rectangle on each."""
    import cairocffi

    surface = cairocffi.PDFSurface(str(path), 842, 595)
    context = cairocffi.Context(surface)
    for _ in range(pages):
        context.rectangle(100, 100, 600, 300)
        context.stroke()
        context.show_page()
    surface.finish()
    return path


def layer_named(manifest: Manifest, name: str) -> Layer:
    """Return the manifest's layer called `name`."""
    return next(layer for layer in manifest.layers if layer.name == name)


def stacked(out: Path, manifest: Manifest) -> npt.NDArray[np.bool_]:
    """Return a mask of the preview's pixels that is true where any layer has ink."""
    ink = np.zeros((manifest.preview.height, manifest.preview.width), bool)
    for layer in manifest.layers:
        if layer.file and layer.extent:
            x, y, width, height = layer.extent
            ink[y : y + height, x : x + width] |= pixels(out / layer.file)[..., 3] > 0
    return ink
