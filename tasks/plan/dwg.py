"""DWG: only the signature is read. Rendering needs an external converter."""

from typing import BinaryIO

from tasks.plan import dxf
from tasks.plan.model import Header, Unsupported

# Size of the converted DXF as a multiple of the DWG, and that of the tables and blocks in it, which stay in memory.
DXF_EXPANSION = 8
TABLES_EXPANSION = 2
CONVERTER_SECONDS_PER_BYTE = 0.5e-6


def read_header(_file: BinaryIO, size: int) -> Header:
    """Estimate the cost of drawing the converted file. Raises `Unsupported` if no converter is configured."""
    from tasks.settings import settings

    if not settings().dwg_converter:
        raise Unsupported(
            "This is a DWG drawing, and no DWG converter is configured. Save it as DXF (command DXFOUT) and send that, "
            "or set BULKHEAD_DWG_CONVERTER on the server."
        )
    text = DXF_EXPANSION * size
    streamed = dxf.DOCUMENT_BYTES_PER_BYTE * TABLES_EXPANSION * size + dxf.STREAM_BYTES
    return Header(
        layers=None,
        working_bytes=min(dxf.DOCUMENT_BYTES_PER_BYTE * text, streamed),
        seconds=1 + CONVERTER_SECONDS_PER_BYTE * size + dxf.SECONDS_PER_BYTE * text,
        pixel_bytes=dxf.BYTES_PER_PIXEL,
    )
