"""A small drawing of each source format."""

import io
from collections.abc import Callable, Mapping

import cairocffi
from PIL import Image

from benchmarks.support import drawings


def pdf() -> bytes:
    """A landscape A4 page with a rectangle."""
    file = io.BytesIO()
    surface = cairocffi.PDFSurface(file, 842, 595)
    context = cairocffi.Context(surface)
    context.rectangle(100, 100, 600, 300)
    context.stroke()
    context.show_page()
    surface.finish()
    return file.getvalue()


def scan(kind: str) -> bytes:
    """A noisy scan, as Pillow writes it."""
    file = io.BytesIO()
    Image.effect_noise((600, 400), 50).convert("RGB").save(file, kind)
    return file.getvalue()


# Suffix -> function that makes a drawing. The DWG is only a header, so it needs a fake converter.
FORMATS: Mapping[str, Callable[[], bytes]] = {
    "dxf": lambda: drawings.dxf(1),
    "dwg": lambda: b"AC1032" + bytes(200),
    "svg": lambda: drawings.svg(2),
    "pdf": pdf,
    "tiff": lambda: drawings.tiff(3, 512),
    "png": lambda: drawings.png(4, 512),
    "jpeg": lambda: scan("JPEG"),
    "webp": lambda: scan("WEBP"),
}
