"""A source that is one picture: its only layer is its base."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from workers.blueprint.manifest import Warning  # noqa: A004 - the manifest's own word
from workers.blueprint.piece import Piece
from workers.blueprint.sources import Geometry, SourceLayer


@dataclass(frozen=True)
class FlatSource:
    """Raster, page or SVG, drawn once as `base` at the preview's size."""

    base: Piece
    geometry: Geometry
    warnings: Sequence[Warning] = field(default_factory=tuple)

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
