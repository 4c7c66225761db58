"""Seeds for the fuzzer: small valid blueprints of every family, generated deterministically."""

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np
import pikepdf
import pyvips
from ezdxf._options import options as dxf_options
from ezdxf.document import Drawing
from ezdxf.filemanagement import new
from ezdxf.layouts.layout import Paperspace

from tests.engine.drawings import png

SIDE = 48


@cache
def seeds(family: str) -> Sequence[bytes]:
    """Return the seeds of a family, one of `FAMILIES`."""
    return _MAKERS[family]()


def _dxf() -> list[bytes]:
    found = []
    for version in ("R12", "R2000", "R2018"):
        text = io.StringIO()
        with _without_dates():
            _drawing(version).write(text)
        found.append(text.getvalue().encode())
    return [*found, _DXF_BARE]


def _dxf_binary() -> list[bytes]:
    found = []
    for version in ("R12", "R2010"):
        written = io.BytesIO()
        with _without_dates():
            _drawing(version).write(written, fmt="bin")
        found.append(written.getvalue())
    return found


@contextmanager
def _without_dates() -> Iterator[None]:
    dxf_options.write_fixed_meta_data_for_testing = True
    try:
        yield
    finally:
        dxf_options.write_fixed_meta_data_for_testing = False


def _drawing(version: str) -> Drawing:
    """Return a drawing with every kind of entity that the engine draws."""
    document = new(version, setup=["linetypes", "styles"], units=0)
    for name, colour in (("PIPES", 1), ("VALVES", 3), ("NOTES", 2)):
        document.layers.add(name, color=colour, linetype="DASHED")
    document.layers.get("NOTES").off()
    block = document.blocks.new("VALVE")
    block.add_line((0, 0), (4, 2))
    block.add_attdef("TAG", (0, 0), "T", dxfattribs={"height": 1})
    outer = document.blocks.new("OUTER")
    outer.add_blockref("VALVE", (1, 1))
    outer.add_circle((0, 0), 2, {"color": 0})
    space = document.modelspace()
    space.add_line((0, 0), (100, 0), {"layer": "PIPES"})
    space.add_circle((50, 25), 10, {"layer": "NOTES"})
    space.add_arc((20, 20), 5, 10, 200, dxfattribs={"linetype": "DASHED"})
    space.add_text("T-1", height=4, dxfattribs={"layer": "VALVES"})
    space.add_point((5, 5))
    space.add_solid([(0, 0), (2, 0), (0, 2), (2, 2)])
    space.add_polyline2d([(0, 0, 0.5), (10, 0, 0), (10, 10, -1)], format="xyb")
    space.add_polyface().append_face([(0, 0, 0), (1, 0, 0), (1, 1, 0)])
    for at in range(3):
        space.add_blockref("VALVE", (20 * at, 20), {"xscale": 2, "rotation": 30 * at}).add_attrib("TAG", "V1", (1, 1))
    space.add_blockref("OUTER", (60, 60), {"layer": "VALVES", "column_count": 3, "column_spacing": 9})
    space.add_aligned_dim((0, 0), (30, 0), distance=5).render()
    if version != "R12":
        _modern(document)
    return document


def _modern(document: Drawing) -> None:
    space = document.modelspace()
    space.add_lwpolyline([(0, 0, 1, 2, 0.3), (10, 0, 0, 0, 0), (10, 8, 0, 0, 0)], close=True)
    space.add_ellipse((30, 30), (9, 0), 0.4, 0, 3)
    space.add_spline([(0, 0), (5, 9), (10, 0), (15, 9)])
    space.add_open_spline([(0, 0), (5, 9), (10, 0), (15, 9)], degree=3)
    space.add_mtext("{\\H3;One}\\PTwo {\\C1;red}\\S1/2;", {"width": 30, "char_height": 3})
    space.add_leader([(0, 0), (5, 5), (9, 5)])
    hatch = space.add_hatch(color=4)
    hatch.set_pattern_fill("ANSI31", scale=2)
    hatch.paths.add_polyline_path([(40, 0), (60, 0), (60, 20), (40, 20)], is_closed=True)
    edges = hatch.paths.add_edge_path()
    edges.add_arc((50, 10), 4, 0, 360)
    solid = space.add_hatch(color=5)
    solid.paths.add_polyline_path([(70, 0, 0.5), (80, 0), (80, 9)], is_closed=True)
    space.add_wipeout([(0, 0), (3, 3)])
    space.add_mesh().dxf.layer = "PIPES"
    paper = document.layout("Layout1")
    assert isinstance(paper, Paperspace)
    paper.add_viewport((100, 100), (150, 100), (50, 25), 60)
    paper.add_line((0, 0), (200, 0))


_DXF_BARE = b"""  0
SECTION
  2
ENTITIES
  0
LINE
  8
0
 10
0.0
 20
0.0
 11
9.0
 21
5.0
  0
ENDSEC
  0
EOF
"""


def _pdf() -> list[bytes]:
    return [_written_pdf(), _layered_pdf(packed=False), _layered_pdf(packed=True)]


def _written_pdf() -> bytes:
    """Return an uncompressed PDF with a cross-reference table, so that mutated text stays meaningful."""
    content = b"1 0 0 RG 2 w 10 10 180 80 re S q .5 0 0 .5 0 0 cm /I Do Q /P gs BT /F 12 Tf 20 50 Td (Pump) Tj ET\n"
    content += b"/S sh 0 0 m 10 90 60 90 70 0 c b* [3 2] 0 d 0 0 m 200 100 l S /X Do\n"
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Rotate 90 /Contents 4 0 R /Resources 9 0 R >>",
        b"<< /Length %d >>\nstream\n%sendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        (
            b"<< /Subtype /Image /Width 4 /Height 2 /BitsPerComponent 8 /ColorSpace /DeviceGray /Length 16 "
            b"/Filter /ASCIIHexDecode >>\nstream\n00ff00ff80402010\nendstream"
        ),
        (
            b"<< /Subtype /Form /BBox [0 0 9 9] /Group << /S /Transparency >> /Length 15 >>\nstream\n"
            b"0 0 5 5 re f q Q\nendstream"
        ),
        b"<< /ShadingType 2 /ColorSpace /DeviceRGB /Coords [0 0 200 100] /Extend [true true] /Function 10 0 R >>",
        (
            b"<< /Font << /F 5 0 R >> /XObject << /I 6 0 R /X 7 0 R >> /Shading << /S 8 0 R >> "
            b"/ExtGState << /P << /ca .5 /BM /Multiply >> >> >>"
        ),
        b"<< /FunctionType 2 /Domain [0 1] /C0 [1 0 0] /C1 [0 0 1] /N 1 >>",
    ]
    written, table = b"%PDF-1.6\n", b""
    for number, body in enumerate(bodies, 1):
        table += b"%010d 00000 n \n" % len(written)
        written += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    size, start = len(bodies) + 1, len(written)
    written += b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    return written + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, start)


def _layered_pdf(*, packed: bool) -> bytes:
    """Return a PDF with two layers, one of them off; with object streams if `packed`."""
    document = pikepdf.new()
    document.add_blank_page(page_size=(200, 100))
    groups = [document.make_indirect(pikepdf.Dictionary(Type=pikepdf.Name.OCG, Name=name)) for name in ("A", "B")]
    page = document.pages[0]
    page.Resources = pikepdf.Dictionary(Properties=pikepdf.Dictionary(A=groups[0], B=groups[1]))
    page.Contents = document.make_stream(
        b"10 10 180 80 re S /OC /A BDC 20 20 40 40 re f EMC /OC /B BDC 9 9 9 9 re f EMC"
    )
    document.Root.OCProperties = pikepdf.Dictionary(
        OCGs=pikepdf.Array(groups), D=pikepdf.Dictionary(OFF=pikepdf.Array(groups[1:]), Order=pikepdf.Array(groups))
    )
    written = io.BytesIO()
    streams = pikepdf.ObjectStreamMode.generate if packed else pikepdf.ObjectStreamMode.disable
    document.save(written, deterministic_id=True, object_stream_mode=streams, compress_streams=packed)
    return written.getvalue()


def _svg() -> list[bytes]:
    image = base64.b64encode(png(2, 2, b"\x00\xff\x00\x00\x00\xff\x00" * 2))
    return [_SVG_BARE, _SVG % image]


_SVG_BARE = b"""<svg xmlns='http://www.w3.org/2000/svg' width='90' height='60'>
<rect x='9' y='9' width='50' height='30' fill='none' stroke='#c00' stroke-width='2' stroke-dasharray='4 2'/></svg>"""

_SVG = b"""<?xml version='1.0' encoding='UTF-8'?>
<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' viewBox='0 0 200 100'>
<style>.a{fill:url(#g);stroke-width:2px} text{font:9px serif}</style><defs>
<linearGradient id='g'><stop offset='0' stop-color='red'/><stop offset='1' stop-color='blue'/></linearGradient>
<pattern id='p' width='5' height='5' patternUnits='userSpaceOnUse'><circle cx='2' cy='2' r='1'/></pattern>
<filter id='f'><feGaussianBlur stdDeviation='2'/><feOffset dx='1' dy='1'/><feMorphology radius='1'/></filter>
<clipPath id='c'><circle cx='50' cy='50' r='40'/></clipPath>
<mask id='m'><rect width='90' height='90' fill='white'/></mask>
<marker id='k' markerWidth='4' markerHeight='4'><path d='M0,0 L4,2 L0,4 z'/></marker>
<symbol id='s' viewBox='0 0 9 9'><rect width='9' height='9'/></symbol></defs>
<g id='layer' clip-path='url(#c)' mask='url(#m)' transform='rotate(10) translate(5,5) scale(.9)'>
<path class='a' d='M10,10 C20,0 30,50 60,60 A5 9 30 1 0 80,80 Q1,2 3,4 z' marker-end='url(#k)'/>
<rect width='50' height='20' fill='url(#p)' filter='url(#f)' opacity='.5'/></g>
<use xlink:href='#s' x='9' y='9' width='20' height='20'/><text x='5' y='90'>Pump <tspan dy='3'>1</tspan></text>
<image width='9' height='9' xlink:href='data:image/png;base64,%s'/><polygon points='1,1 5,5 9,1'/></svg>"""


def _image(bands: int = 3) -> "pyvips.Image":
    """Return an image with lines and gradients, which exercise every codec."""
    y, x = np.mgrid[:SIDE, :SIDE]
    grey = np.where((x + y) % 9 < 2, 0, 255 - 2 * x)
    pixels = np.stack([(grey + 40 * band * y // SIDE) % 256 for band in range(bands)], axis=2).astype(np.uint8)
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels))
    return image.copy(interpretation="b-w" if bands == 1 else "srgb")


def _with(image: "pyvips.Image", name: str, value: int) -> "pyvips.Image":
    changed = image.copy()
    changed.set_type(pyvips.GValue.gint_type, name, value)
    return changed


def _png() -> list[bytes]:
    image, grey = _image(), _image(1)
    return [
        bytes(image.pngsave_buffer()),
        bytes(grey.pngsave_buffer(bitdepth=1, interlace=True)),
        bytes(_image(4).pngsave_buffer(interlace=True)),
        bytes(image.colourspace("rgb16").pngsave_buffer()),
        bytes(image.pngsave_buffer(palette=True, bitdepth=4)),
    ]


def _jpeg() -> list[bytes]:
    image = _image()
    return [
        bytes(_with(image, "orientation", 6).jpegsave_buffer(Q=80)),
        bytes(image.jpegsave_buffer(interlace=True, optimize_coding=True)),
        bytes(_image(1).jpegsave_buffer(restart_interval=2)),
        bytes(image.colourspace("cmyk").jpegsave_buffer(keep="none")),
    ]


def _tiff() -> list[bytes]:
    image, grey = _image(), _image(1)
    pages = _with(pyvips.Image.arrayjoin([grey, grey], across=1), "page-height", SIDE)
    rotated = _with(grey, "orientation", 6)
    return [
        bytes(grey.tiffsave_buffer(compression="ccittfax4", bitdepth=1)),
        bytes(image.tiffsave_buffer(compression="lzw", predictor="horizontal")),
        bytes(rotated.tiffsave_buffer(compression="deflate", tile=True, tile_width=16, tile_height=16)),
        bytes(image.tiffsave_buffer(bigtiff=True, compression="packbits")),
        bytes(_image(4).tiffsave_buffer(tile=True, tile_width=32, tile_height=16, bigtiff=True)),
        bytes(image.tiffsave_buffer(compression="jpeg")),
        bytes(pages.tiffsave_buffer(compression="ccittfax4", bitdepth=1)),
    ]


def _webp() -> list[bytes]:
    return [
        bytes(_image().webpsave_buffer(Q=70)),
        bytes(_image(4).webpsave_buffer(Q=70)),
        bytes(_image(4).webpsave_buffer(lossless=True)),
    ]


def _dwg() -> list[bytes]:
    """Return a DXF after a header of seven bytes, which the child removes."""
    return [b"AC1032\x00" + bytes(range(256)), b"AC1.40\n" + _DXF_BARE, *(b"AC1015\n" + text for text in _dxf()[:2])]


_MAKERS: dict[str, Callable[[], list[bytes]]] = {
    "dxf": _dxf,
    "dxf-binary": _dxf_binary,
    "dwg": _dwg,
    "pdf": _pdf,
    "svg": _svg,
    "png": _png,
    "jpeg": _jpeg,
    "tiff": _tiff,
    "webp": _webp,
}

FAMILIES = tuple(_MAKERS)
