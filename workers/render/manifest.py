"""The manifest of a render, which is deterministic byte for byte. Durations and peaks are facts of the attempt."""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tasks.renders import RenderOptions
from workers.render.text import replace_surrogates, truncate_middle

# Text from the drawing, or text that quotes it.
DrawingText = Annotated[str, AfterValidator(truncate_middle)]


class _ManifestModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceFacts(_ManifestModel):
    """The rendered blueprint."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    format: str = Field(description="dxf, svg, pdf, png, jpeg, tiff or webp.")
    bytes: int = Field(ge=0)
    width: int | None = Field(None, description="Pixels of a raster, or of an SVG or PDF page at its intrinsic size.")
    height: int | None = None
    pages: int = Field(1, ge=1)
    extents: tuple[float, float, float, float] | None = Field(
        None, description="Area of the preview in drawing units: left, bottom, right, top."
    )
    units: str | None = Field(None, description="Name of the drawing unit.")
    layouts: tuple[DrawingText, ...] = Field((), description="Layouts of a DXF drawing, the model space first.")


class OutputFile(_ManifestModel):
    """A file beside the manifest."""

    file: str
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Preview(OutputFile):
    """All visible layers on the background, drawn in one pass."""

    width: int
    height: int


class TileLevel(_ManifestModel):
    """One level of a Deep Zoom pyramid. `sha256` is over the SHA-256 digests of its tiles, row by row."""

    level: int = Field(ge=0)
    columns: int
    rows: int
    distinct_tiles: int = Field(description="Number of different tiles; all blank tiles count as one.")
    bytes: int = Field(ge=0, description="Total size of the tiles.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class TileSet(OutputFile):
    """A Deep Zoom pyramid: the descriptor `file`, and `<its stem>_files/{level}/{column}_{row}.webp` beside it."""

    width: int
    height: int
    tile_size: int = Field(description="Side of a tile in pixels. Tiles do not overlap.")
    levels: list[TileLevel]


class Layer(_ManifestModel):
    """A layer, drawn alone on a transparent background and cropped to `extent`.

    It has no file if it has no visible content, or if tiles of another layer were requested.
    """

    index: int = Field(ge=0)
    name: DrawingText
    colour: str | None = Field(None, description="Colour of the layer as #rrggbb.")
    visible: bool = Field(description="On and thawed.")
    plottable: bool = Field(default=True, description="Marked for plotting.")
    empty: bool = Field(description="The layer has no visible content.")
    extent: tuple[int, int, int, int] | None = Field(None, description="x, y, width, height in preview pixels.")
    file: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    tiles: TileSet | None = None
    error: str | None = Field(None, description="Why the layer could not be drawn. The other layers were drawn.")


class RenderWarning(_ManifestModel):
    """Content that is drawn differently from what its author intended."""

    code: str
    message: DrawingText
    layer: DrawingText | None = None


class Manifest(_ManifestModel):
    """All that a viewer needs to display a render."""

    version: Literal[1] = 1
    engine: str
    source: SourceFacts
    options: RenderOptions
    preview: Preview
    layers: list[Layer]
    draw_order_matters: bool = Field(default=False, description="Layers stacked in this order differ from the preview.")
    tiles: TileSet | None = Field(None, description="Tiles of the whole drawing at full size, if requested.")
    warnings: list[RenderWarning]

    def to_json(self) -> str:
        """The manifest as JSON with sorted keys, ending in a newline."""
        return (
            replace_surrogates(json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False))
            + "\n"
        )

    def write(self, path: Path) -> None:
        """Write the manifest to `path` as UTF-8."""
        path.write_text(self.to_json(), encoding="utf-8")
