"""Deep Zoom tiles: pyramids of any size in bounded memory, resumable and with checksums.

    write_tiles(image, out, "tiles", on_progress)   # out/tiles.dzi, out/tiles_files/{level}/{column}_{row}.webp

pyramid.py has the geometry. sequential.py builds the levels of images that are read once, scalable.py paints those of
drawings; both pass tiles to writer.py, which encodes them with encode.py.
"""

from collections.abc import Callable
from pathlib import Path

from workers.render.manifest import TileSet
from workers.render.native import retain_free_heap
from workers.render.sources import ScalableImage, SequentialImage
from workers.render.tiles.pyramid import Pyramid
from workers.render.tiles.scalable import paint_levels
from workers.render.tiles.sequential import build_levels
from workers.render.tiles.writer import TileWriter


def write_tiles(
    image: SequentialImage | ScalableImage, folder: Path, name: str, on_progress: Callable[[float], None]
) -> TileSet:
    """Write `<name>.dzi` and its tiles into `folder`, reusing the tiles of an earlier attempt.

    `on_progress` receives the completed share, 0 to 1. Raises the errors of the source, and OSError for a full disk.
    """
    pyramid = Pyramid(*image.size)
    with retain_free_heap(), TileWriter(folder, name, pyramid, on_progress) as writer:
        if isinstance(image, ScalableImage):
            paint_levels(image.paint, pyramid, writer)
        else:
            build_levels(image.read_rows(), pyramid, image.channels, writer)
    return writer.finish()
