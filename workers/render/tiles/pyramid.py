"""Deep Zoom geometry: which levels a picture has, and how they are cut into tiles. Arithmetic only."""

from dataclasses import dataclass

# Fewer requests and files than at 256, and one tile of line work still encodes in about a millisecond.
TILE = 512

# Tiles that share no pixels, as IIIF has them: viewers draw both without seams. A row of tiles then needs no row
# of the next, which keeps the pyramid one strip high.
OVERLAP = 0

FORMAT = "webp"

_DESCRIPTOR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" Format="{format}" Overlap="{overlap}" '
    'TileSize="{tile}"><Size Width="{width}" Height="{height}"/></Image>\n'
)


@dataclass(frozen=True)
class Pyramid:
    """Levels of a picture of `width` by `height` pixels: 0 is one pixel, each next is twice as large."""

    width: int
    height: int

    @property
    def top(self) -> int:
        """Number of the level that shows the picture at its full size."""
        return (max(self.width, self.height) - 1).bit_length()

    def size(self, level: int) -> tuple[int, int]:
        """Width and height of a level in pixels; halves are rounded up."""
        shift = self.top - level
        return -(-self.width >> shift), -(-self.height >> shift)

    def grid(self, level: int) -> tuple[int, int]:
        """Columns and rows of tiles of a level."""
        width, height = self.size(level)
        return -(-width // TILE), -(-height // TILE)

    @property
    def tiles(self) -> int:
        """Tiles of all levels together."""
        return sum(columns * rows for columns, rows in map(self.grid, range(self.top + 1)))

    def descriptor(self) -> str:
        """Text of the .dzi file."""
        return _DESCRIPTOR.format(format=FORMAT, overlap=OVERLAP, tile=TILE, width=self.width, height=self.height)
