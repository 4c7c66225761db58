"""The drawing as a scanner would deliver it: a clean bilevel sheet, and a skewed grey one.

Needs libvips, about 300 MB and 5 s. The same drawing always gives the same bytes.
"""

import random
from pathlib import Path
from typing import Any

from ezdxf.addons.drawing.config import BackgroundPolicy, ColorPolicy, Configuration
from ezdxf.addons.drawing.frontend import Frontend
from ezdxf.addons.drawing.layout import Margins, Page, Settings, Units
from ezdxf.addons.drawing.properties import RenderContext
from ezdxf.addons.drawing.svg import SVGBackend
from ezdxf.document import Drawing

from examples.pump_station.standards import SHEET

BILEVEL_DPI = 200  # what most plan archives were scanned at
GREY_DPI = 150
THRESHOLD = 200  # of 255, so that thin grey hatching still counts as ink

SKEW = 0.35  # degrees
PAPER, INK = 236, 44  # grey of aged paper and of toner
NOISE = 3.0  # standard deviation of the sensor, grey levels
SEED = 4
BLUR = 0.6  # radius of the optics, pixels


def scan(doc: Drawing, folder: Path, stem: str) -> list[Path]:
    """Write `<stem>-scan.tif` (bilevel, CCITT G4) and `<stem>-scan.png` (grey, noisy, rotated). Raises pyvips.Error."""
    svg = _as_svg(doc)
    bilevel, grey = folder / f"{stem}-scan.tif", folder / f"{stem}-scan.png"
    sheet = _raster(svg, BILEVEL_DPI) > THRESHOLD
    pitch = BILEVEL_DPI / 25.4  # libvips counts pixels a millimetre
    sheet.tiffsave(str(bilevel), compression="ccittfax4", bitdepth=1, xres=pitch, yres=pitch, resunit="inch")
    _degrade(_raster(svg, GREY_DPI)).pngsave(str(grey), compression=9, filter="none", keep="none")
    return [bilevel, grey]


def _as_svg(doc: Drawing) -> bytes:
    random.seed(SEED)  # ezdxf shifts hatch lines by a tiny random offset, so that they miss corners
    backend = SVGBackend()
    look = Configuration(background_policy=BackgroundPolicy.WHITE, color_policy=ColorPolicy.BLACK)
    Frontend(RenderContext(doc), backend, config=look).draw_layout(doc.modelspace())
    page = Page(*SHEET, Units.mm, Margins.all(0))
    return backend.get_string(page, settings=Settings(fit_page=True)).encode()


def _raster(svg: bytes, dpi: int) -> Any:
    """One band of grey levels; 255 is paper."""
    import pyvips

    width = SHEET[0] / 25.4 * dpi
    natural = pyvips.Image.svgload_buffer(svg, unlimited=True)
    picture = pyvips.Image.svgload_buffer(svg, unlimited=True, scale=width / natural.width)
    return picture.flatten(background=255).colourspace("b-w")[0].copy_memory()


def _degrade(sheet: Any) -> Any:
    """Add the noise, blur and skew of an old copier."""
    import pyvips

    toned = sheet.linear((PAPER - INK) / 255, INK).gaussblur(BLUR)
    askew = toned.rotate(SKEW, background=PAPER)
    noise = pyvips.Image.gaussnoise(askew.width, askew.height, mean=0, sigma=NOISE, seed=SEED)
    return (askew + noise).cast("uchar")
