"""DWG: nothing is read from it but its signature; whether it can be drawn depends on a converter."""

from typing import BinaryIO

from tasks.plan import dxf
from tasks.plan.model import Header, Unsupported

# A DXF says the same in about this many times the bytes; some of it is tables and blocks, which stay in memory.
DXF_EXPANSION = 8
TABLES_EXPANSION = 2
CONVERTER_SECONDS_PER_BYTE = 0.5e-6  # of the converter


def read_header(_file: BinaryIO, size: int) -> Header:
    """What drawing the converted file will cost. Raises `Unsupported` where no converter is set."""
    from tasks.settings import settings

    if not settings().dwg_converter:
        raise Unsupported(
            "This is a DWG drawing, which is not read directly. Save it as DXF (command DXFOUT) and send that, or set "
            "BULKHEAD_DWG_CONVERTER on the server."
        )
    text = DXF_EXPANSION * size
    streamed = dxf.DOCUMENT_BYTES_PER_BYTE * TABLES_EXPANSION * size + dxf.STREAM_BYTES
    return Header(
        layers=None,
        working_bytes=min(dxf.DOCUMENT_BYTES_PER_BYTE * text, streamed),
        seconds=1 + CONVERTER_SECONDS_PER_BYTE * size + dxf.SECONDS_PER_BYTE * text,
        pixel_bytes=dxf.BYTES_PER_PIXEL,
    )
