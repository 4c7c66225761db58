"""Render options as flags of the command line."""

from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from tasks.errors import InvalidInput
from tasks.presets import expand_preset
from tasks.renders import RenderOptions
from tasks.settings import Settings

Background = Annotated[Literal["light", "dark", "transparent"], typer.Option(help="Background of the preview.")]
Layout = Annotated[str, typer.Option(help="Name of a layout of a DXF drawing; default: the model space.")]
Page = Annotated[int, typer.Option(min=1, max=100_000, help="Page of a PDF or multi-page TIFF, starting at 1.")]
Tiles = Annotated[bool, typer.Option("--tiles", help="Also write Deep Zoom tiles.")]
LayerTiles = Annotated[bool, typer.Option("--layer-tiles", help="With --tiles: also tiles of every layer.")]
TileLayer = Annotated[
    int,
    typer.Option(min=-1, help="With --tiles: only this layer, by its index in the manifest; -1: all layers."),
]
LineWork = Annotated[bool, typer.Option("--line-work", help="Also write a scan's line work as a transparent layer.")]
Dpi = Annotated[int, typer.Option(min=0, max=2400, help="Resolution on paper in pixels per inch, instead of --width.")]
Scale = Annotated[int, typer.Option(min=1, max=1_000_000, help="With --dpi: scale of a DXF model; 50 is 1:50.")]
Layers = Annotated[str, typer.Option(metavar="NAMES", help="Only these layers, separated by commas.")]
LineWeight = Annotated[int, typer.Option(min=10, max=1000, help="Line weights in percent of those in the DXF drawing.")]
Region = Annotated[
    str, typer.Option(metavar="L,T,R,B", help="Only this region, in 1/10,000 of the sides: 0,0,5000,5000.")
]
Format = Annotated[
    Literal["webp", "webp-lossless", "webp-lossy", "png"], typer.Option(help="Format of the preview and the layers.")
]
Preset = Annotated[str, typer.Option(metavar="NAME", help="Preset of BULKHEAD_PRESETS; flags override its options.")]


class InvalidOptions(InvalidInput):
    """An option of the render has a value that cannot be used."""

    code = "invalid-options"


def options_from_context(context: typer.Context, preset: str, current: Settings) -> RenderOptions:
    """The options of the preset, overridden by the flags on the command line. Raises InvalidInput."""
    typed = {
        name: context.params[name]
        for name in RenderOptions.model_fields
        if (source := context.get_parameter_source(name)) is not None and source.name == "COMMANDLINE"
    }
    try:
        return RenderOptions.model_validate(expand_preset(current.presets, preset, typed))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).replace("_", "-") if first["loc"] else "options"
        is_pattern = first["type"] == "string_pattern_mismatch"
        problem = "write it as --help shows" if is_pattern else first["msg"].removeprefix("Value error, ")
        raise InvalidOptions(f"--{name}: {problem}.") from error
