"""A source that is one picture: its only layer is its base."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workers.blueprint.manifest import Warning  # noqa: A004 - the manifest's own word
from workers.blueprint.piece import Piece, lay
from workers.blueprint.sources import Geometry, SourceLayer, Strips


@dataclass(frozen=True)
class FlatSource:
    """Raster, page or SVG, drawn once as `base` at the preview's size."""

    base: Piece
    geometry: Geometry
    warnings: Sequence[Warning] = field(default_factory=tuple)
    draw_order_matters: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.base.box[2:]

    @property
    def layers(self) -> Sequence[SourceLayer]:
        """The base alone."""
        return (SourceLayer("base", self.base.box),)

    def preview(self) -> Piece:
        """The base."""
        return self.base

    def layer(self, index: int) -> Piece:
        """The base, whatever `index`."""
        del index
        return self.base

    def deep(self, background: str | None, scratch: Path, index: int | None = None) -> Strips:
        """The base: there is no more to see than the preview shows."""
        del scratch, index
        return in_memory(self.base, background)


def in_memory(piece: Piece, background: str | None) -> Strips:
    """A piece that lies in memory whole, as strips. Costs its bytes once more."""
    pixels = piece.plain
    if background is not None and not piece.opaque:
        pixels = lay(pixels, background)
    return Strips(piece.box[2:], pixels.shape[2], lambda: iter((pixels,)))
