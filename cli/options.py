"""Render options as flags of the command line."""

from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from cli.errors import BadInput
from tasks.presets import UnknownPreset, expand_preset
from tasks.renders import RenderOptions
from tasks.settings import Settings

Background = Annotated[Literal["light", "dark", "transparent"], typer.Option(help="Behind the preview.")]
Layout = Annotated[str, typer.Option(help="Layout of a DXF drawing by name; its model space if not given.")]
Page = Annotated[int, typer.Option(min=1, max=100_000, help="Page of a PDF or multi-page TIFF, from 1.")]
Tiles = Annotated[bool, typer.Option("--tiles", help="Also cut Deep Zoom tiles.")]
LayerTiles = Annotated[bool, typer.Option("--layer-tiles", help="With --tiles: for every layer as well.")]
TileLayer = Annotated[
    int, typer.Option(min=-1, help="With --tiles: of this layer alone, by its index in the manifest; -1 is everything.")
]
LineWork = Annotated[bool, typer.Option("--line-work", help="Of a scan, also give the ink as a transparent layer.")]
Dpi = Annotated[int, typer.Option(min=0, max=2400, help="Pixels an inch on paper, instead of --width.")]
Scale = Annotated[int, typer.Option(min=1, max=1_000_000, help="With --dpi: 50 shows a DXF model at 1:50.")]
Layers = Annotated[str, typer.Option(metavar="NAMES", help="Only these layers, separated by commas.")]
LineWeight = Annotated[int, typer.Option(min=10, max=1000, help="Percent of a DXF drawing's own line weights.")]
Region = Annotated[
    str, typer.Option(metavar="L,T,R,B", help="Only this part, in ten-thousandths of the sides: 0,0,5000,5000.")
]
Format = Annotated[Literal["webp", "webp-lossless", "webp-lossy", "png"], typer.Option(help="Of preview and layers.")]
Preset = Annotated[str, typer.Option(metavar="NAME", help="Options of that name in BULKHEAD_PRESETS; flags win.")]


def options_from_context(context: typer.Context, preset: str, chosen: Settings) -> RenderOptions:
    """The preset's options and those that were typed. Raises BadInput."""
    typed = {
        name: context.params[name]
        for name in RenderOptions.model_fields
        if (source := context.get_parameter_source(name)) is not None and source.name == "COMMANDLINE"
    }
    try:
        return RenderOptions.model_validate(expand_preset(chosen.presets, preset, typed))
    except UnknownPreset as error:
        raise BadInput(str(error), "unknown-preset") from error
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0]).replace("_", "-") if fault["loc"] else "options"
        pattern = fault["type"] == "string_pattern_mismatch"
        problem = "write it as --help shows" if pattern else fault["msg"].removeprefix("Value error, ")
        raise BadInput(f"--{name}: {problem}.", "bad-options") from error
