"""What the zygote loads once for all renders: code, fonts and lookup tables.

It draws a small drawing with each library, so that no render pays for its first use. None of that may start a thread,
which a fork would lose: libvips evaluates a region in this thread, and no text, for which pango would start one. The
zygote refuses to fork if it has a second thread.
"""

import io
import logging
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.renders import RenderOptions
from workers.render import native, render
from workers.render.errors import BlueprintError, EngineError

_MODULES = (
    "workers.render.engine",
    "workers.render.sandboxed.body",
    *(f"workers.render.sources.{family}" for family in ("dxf", "pdf", "raster", "svg")),
)

# Libraries that log each of their steps, dozens of lines a render.
_VERBOSE_LOGGERS = ("ezdxf", "pyvips")

_SMALL_DXF = b"""0
SECTION
2
ENTITIES
0
LINE
8
0
10
0
20
0
11
9
21
9
0
TEXT
8
0
10
1
20
1
40
2
1
Ag 0
0
ENDSEC
0
EOF
"""

_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'


def warm_up() -> None:
    """Load the engine. A library that is missing is reported by the render that needs it."""
    for name in _VERBOSE_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    native.become_zygote()
    native.set_environment()
    with suppress(EngineError, ImportError, OSError):
        native.prepare()
        for module in _MODULES:
            import_module(module)
        native.prepare_vips()
        _draw(_pdf(), "drawing.pdf")
        _draw(_dxf(), "drawing.dxf")
        rehearse()


def rehearse() -> None:
    """Draw a little, in a process that waits for its render: it gets copies of the pages that a render writes to.

    Takes 25 ms of processor time, and saves the render 10 ms.
    """
    with suppress(EngineError, ImportError, OSError):
        _evaluate_svg()
        _draw(_SMALL_DXF, "drawing.dxf")


def _draw(content: bytes, name: str) -> None:
    with TemporaryDirectory() as folder, suppress(BlueprintError):
        source, out = Path(folder, name), Path(folder, "out")
        source.write_bytes(content)
        out.mkdir()
        render(source, out, RenderOptions(width=64))


def _evaluate_svg() -> None:
    import pyvips

    image = pyvips.Image.svgload_buffer(_SVG, unlimited=True)
    pyvips.Region.new(image).fetch(0, 0, image.width, image.height)


def _dxf() -> bytes:
    import ezdxf

    document = ezdxf.new("R2010", setup=True)  # type: ignore[attr-defined] # as its documentation does
    space = document.modelspace()
    space.add_line((0, 0), (9, 9), dxfattribs={"linetype": "DASHED"})
    space.add_lwpolyline([(0, 0), (9, 0), (9, 9)], dxfattribs={"layer": "1"})
    space.add_circle((5, 5), 3)
    space.add_text("Ag 0", height=2)
    space.add_mtext("Ag 0", dxfattribs={"char_height": 1})
    hatch = space.add_hatch()
    hatch.paths.add_polyline_path([(0, 0), (3, 0), (3, 3)], is_closed=True)
    space.add_linear_dim(base=(0, 12), p1=(0, 0), p2=(9, 0)).render()
    stream = io.StringIO()
    document.write(stream)
    return stream.getvalue().encode()


def _pdf() -> bytes:
    import pikepdf

    document = pikepdf.new()
    page = document.add_blank_page(page_size=(90, 90))
    font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
    page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
    page.Contents = document.make_stream(b"BT /F1 12 Tf 9 9 Td (Ag 0) Tj ET 0 0 m 90 90 l S")
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()
