"""Deep Zoom tiles: pyramids of any size in bounded memory, resumable, checksummed.

    write_tiles(deep, out, "tiles", told)   # out/tiles.dzi, out/tiles_files/{level}/{column}_{row}.webp

pyramid.py (geometry) <- strips.py (pictures that are read once) and painted.py (drawings) -> writer.py -> encode.py
"""

from collections.abc import Callable
from pathlib import Path

from workers.render.manifest import TileSet
from workers.render.native import busy_heap
from workers.render.sources import Canvas, Strips
from workers.render.tiles.painted import paint_levels
from workers.render.tiles.pyramid import Pyramid
from workers.render.tiles.strips import cut
from workers.render.tiles.writer import TileWriter


def write_tiles(deep: Strips | Canvas, folder: Path, name: str, told: Callable[[float], None]) -> TileSet:
    """Write `<name>.dzi` and its tiles into `folder`; what lies there from an earlier attempt is kept.

    `told` hears the share that is done. Raises what the source raises, and OSError where the disk is full.
    """
    pyramid = Pyramid(*deep.size)
    with busy_heap(), TileWriter(folder, name, pyramid, told) as writer:
        if isinstance(deep, Canvas):
            paint_levels(deep.paint, pyramid, writer)
        else:
            cut(deep.read(), pyramid, deep.channels, writer)
    return writer.tileset()
