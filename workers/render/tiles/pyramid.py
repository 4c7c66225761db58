"""Deep Zoom geometry: the levels of an image and their tiles. Arithmetic only."""

from dataclasses import dataclass

# Needs fewer requests and files than 256, and a tile of line work still encodes in about a millisecond.
TILE = 512

# As in IIIF, tiles share no pixels; viewers draw them without seams. A row of tiles then needs no pixels of the next,
# so the builder holds one row a level.
OVERLAP = 0

FORMAT = "webp"

_DESCRIPTOR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" Format="{format}" Overlap="{overlap}" '
    'TileSize="{tile}"><Size Width="{width}" Height="{height}"/></Image>\n'
)


@dataclass(frozen=True)
class Pyramid:
    """Levels of an image of `width` by `height` pixels. Level 0 is one pixel; each next level is twice as large."""

    width: int
    height: int

    @property
    def top(self) -> int:
        """The level that has the image at its full size."""
        return (max(self.width, self.height) - 1).bit_length()

    def size(self, level: int) -> tuple[int, int]:
        """Return the width and height of a level in pixels; halves are rounded up."""
        shift = self.top - level
        return -(-self.width >> shift), -(-self.height >> shift)

    def grid(self, level: int) -> tuple[int, int]:
        """Return the number of tile columns and rows of a level."""
        width, height = self.size(level)
        return -(-width // TILE), -(-height // TILE)

    @property
    def tiles(self) -> int:
        """Number of tiles of all levels."""
        return sum(columns * rows for columns, rows in map(self.grid, range(self.top + 1)))

    def descriptor(self) -> str:
        """Return the text of the .dzi file."""
        return _DESCRIPTOR.format(format=FORMAT, overlap=OVERLAP, tile=TILE, width=self.width, height=self.height)
