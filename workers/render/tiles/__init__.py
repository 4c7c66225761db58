"""Deep Zoom tiles: pyramids of any size in bounded memory, resumable, checksummed.

    write_tiles(deep, out, "tiles", told)   # out/tiles.dzi, out/tiles_files/{level}/{column}_{row}.webp

pyramid.py (geometry) <- strips.py (pictures that are read once) and painted.py (drawings) -> writer.py -> encode.py
"""

from collections.abc import Callable
from pathlib import Path

from workers.render.manifest import TileSet
from workers.render.native import retain_free_heap
from workers.render.sources import ScalableImage, SequentialImage
from workers.render.tiles.scalable import paint_levels
from workers.render.tiles.pyramid import Pyramid
from workers.render.tiles.sequential import build_levels
from workers.render.tiles.writer import TileWriter


def write_tiles(
    image: SequentialImage | ScalableImage, folder: Path, name: str, on_progress: Callable[[float], None]
) -> TileSet:
    """Write `<name>.dzi` and its tiles into `folder`; what lies there from an earlier attempt is kept.

    `told` hears the share that is done. Raises what the source raises, and OSError where the disk is full.
    """
    pyramid = Pyramid(*image.size)
    with retain_free_heap(), TileWriter(folder, name, pyramid, on_progress) as writer:
        if isinstance(image, ScalableImage):
            paint_levels(image.paint, pyramid, writer)
        else:
            build_levels(image.read_rows(), pyramid, image.channels, writer)
    return writer.finish()
