"""DWG: nothing is read from it but its signature; whether it can be drawn depends on a converter."""

from typing import BinaryIO

from tasks.plan import dxf
from tasks.plan.model import Header, Unsupported

# A DXF says the same in about this many times the bytes; some of it is tables and blocks, which stay in memory.
DENSITY = 8
KEPT = 2
SECONDS_PER_BYTE = 0.5e-6  # of the converter


def read(_file: BinaryIO, size: int) -> Header:
    """What drawing the converted file will cost. Raises `Unsupported` where no converter is set."""
    from tasks.settings import settings

    if not settings().dwg_converter:
        raise Unsupported(
            "This is a DWG drawing, which is not read directly. Save it as DXF (command DXFOUT) and send that, or set "
            "BULKHEAD_DWG_CONVERTER on the server."
        )
    text = DENSITY * size
    streamed = dxf.BYTES_PER_BYTE * KEPT * size + dxf.STREAM_BYTES
    return Header(
        layers=None,
        working_bytes=min(dxf.BYTES_PER_BYTE * text, streamed),
        seconds=1 + SECONDS_PER_BYTE * size + dxf.SECONDS_PER_BYTE * text,
        pixel_bytes=dxf.BYTES_PER_PIXEL,
    )
