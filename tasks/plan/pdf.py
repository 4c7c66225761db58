"""PDF: checks for a cross-reference, and estimates the page count from the uncompressed objects in bounded time."""

import re
from typing import BinaryIO

from tasks.plan.model import Header, Truncated
from tasks.plan.tail import read_tail

WINDOW = 1024 * 1024
LINEARIZED_WINDOW = 2048  # its dictionary lies in the first 1024 bytes from the header (ISO 32000-1, F.3.3)
MAX_PAGES = 100_000
SECONDS_PER_BYTE = 50e-9
# The copy that pdfium reads, and the copies with other layers switched on.
BYTES_PER_BYTE = 5

_COUNT = re.compile(rb"/Count\s+(\d{1,6})\b")
_LINEARIZED = re.compile(rb"/Linearized\b[^>]*?/N\s+(\d{1,6})\b")


def read_header(file: BinaryIO, size: int) -> Header:
    """Take the largest `/Count` of the page tree as the number of pages, 1 if the tree is compressed.

    Raises `Truncated` without a trailer.
    """
    head = file.read(WINDOW)
    end = read_tail(file, size, WINDOW)
    if b"startxref" not in end:
        raise Truncated("The PDF has no trailer. Upload it again, or print it to a new PDF.")
    counts = [int(digits) for part in (head, end) for digits in _COUNT.findall(part)]
    counts += [int(digits) for digits in _LINEARIZED.findall(head[:LINEARIZED_WINDOW])]
    pages = min(max(counts, default=1), MAX_PAGES)
    return Header(pages=max(pages, 1), working_bytes=BYTES_PER_BYTE * size, seconds=0.2 + SECONDS_PER_BYTE * size)
