"""Predict the cost of a render from the blueprint's header. Uses the standard library only and decodes nothing.

    from tasks.plan import check_memory_limit, plan
    estimate = plan(Path("floorplan.dxf"))
    check_memory_limit(estimate, memory_limit=512 * 1024**2)

The format is detected from the content, never from the file name. Each format's header has a module of its own.
"""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from tasks.plan import dwg, dxf, jpeg, pdf, png, svg, tiff, webp
from tasks.plan.cost import estimate_cost
from tasks.plan.detect import detect_format
from tasks.plan.model import Empty, Header, NoSuchPage, Plan, PlanError, TooLarge, Truncated, UnknownFormat, Unsupported
from tasks.utils.units import format_bytes

__all__ = [
    "Empty",
    "NoSuchPage",
    "Plan",
    "PlanError",
    "TooLarge",
    "Truncated",
    "UnknownFormat",
    "Unsupported",
    "check_memory_limit",
    "plan",
]

DEFAULT_WIDTH = 2048

_HEADER_READERS: dict[str, tuple[str, Callable[[BinaryIO, int], Header]]] = {
    "dxf": ("image/vnd.dxf", dxf.read_header),
    "dwg": ("image/vnd.dwg", dwg.read_header),
    "svg": ("image/svg+xml", svg.read_header),
    "pdf": ("application/pdf", pdf.read_header),
    "png": ("image/png", png.read_header),
    "jpeg": ("image/jpeg", jpeg.read_header),
    "tiff": ("image/tiff", tiff.read_header),
    "webp": ("image/webp", webp.read_header),
}


def plan(path: Path, filename: str = "", *, width: int = DEFAULT_WIDTH, tiles: bool = False, page: int = 1) -> Plan:
    """Predict the cost of rendering the blueprint at `path` with a preview of `width` pixels on the longer side.

    `tiles` adds the cost of Deep Zoom tiles. `page` selects the page of a TIFF, from 1. `filename` is the user's name
    for the file and appears in messages only. Reads a few megabytes; a DXF of more than 4 MiB is searched for its
    entities.

    Raises `PlanError` (`Empty`, `UnknownFormat`, `Truncated`, `Unsupported`, `NoSuchPage`); its message says what to
    do next.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would block until it has a writer
        raise Unsupported("This is a folder, a pipe or a device, not a regular file. Send the drawing's file.")
    size = status.st_size
    if size == 0:
        raise Empty("The file is empty. Export the drawing again and check that the upload is complete.")
    with path.open("rb") as file:
        kind = detect_format(file, filename)
        media_type, read = _HEADER_READERS[kind]
        file.seek(0)
        header = tiff.read_header(file, size, page) if kind == "tiff" else read(file, size)
    peak, seconds = estimate_cost(header, size, width, tiles=tiles)
    return Plan(kind, media_type, size, header.width, header.height, header.pages, header.layers, peak, seconds)


def check_memory_limit(plan: Plan, memory_limit: int) -> None:
    """Raise `TooLarge` if `plan` predicts more memory than `memory_limit` bytes."""
    if plan.peak_bytes > memory_limit:
        raise TooLarge(
            f"Rendering this {plan.format.upper()} needs about {format_bytes(plan.peak_bytes)} of memory "
            f"and the memory limit of a render is {format_bytes(memory_limit)}. Split the drawing, choose a smaller "
            "width, or raise BULKHEAD_MEMORY_LIMIT (on a server also BULKHEAD_LARGE_MEMORY_LIMIT)."
        )
