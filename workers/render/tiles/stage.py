"""The engine's tile stage: tiles of the whole drawing, optionally of each layer, or of one layer only.

It starts by writing a checkpoint that describes the finished preview and layers: an attempt after a kill loads it and
draws neither again.
"""

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from tasks.renders import ALL_LAYERS, ENGINE_VERSION, RenderOptions
from workers.render.compose import BACKGROUNDS
from workers.render.errors import BlueprintError
from workers.render.manifest import Layer, Manifest, SourceFacts, TileSet
from workers.render.progress import ProgressReporter
from workers.render.sources import Source
from workers.render.tiles import write_tiles
from workers.render.tiles.writer import replace_file

# The weights of the other stages sum to about 100; tiling takes four times as long as they do together.
TILES_WEIGHT = 400

CHECKPOINT = ".checkpoint.json"


def load_checkpoint(out: Path, source: SourceFacts, options: RenderOptions) -> Manifest | None:
    """Return the manifest of an earlier attempt at the same render in `out`; None if it wrote no checkpoint."""
    try:
        manifest = Manifest.model_validate_json((out / CHECKPOINT).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    same = (manifest.engine, manifest.source, manifest.options) == (ENGINE_VERSION, source, options)
    return manifest if same else None


def delete_checkpoint(out: Path) -> None:
    """Delete the checkpoint once the manifest is written."""
    (out / CHECKPOINT).unlink(missing_ok=True)


def add_tiles(source: Source, manifest: Manifest, out: Path, progress: ProgressReporter) -> Manifest:
    """Write `manifest` as a checkpoint, write all tiles into `out`, and return the manifest with the tiles."""
    replace_file(out / CHECKPOINT, manifest.to_json().encode())
    options = manifest.options
    visible_layers = [layer for layer in manifest.layers if layer.file and layer.sha256 != manifest.preview.sha256]
    tile_set_count = 1 + len(visible_layers) * (options.layer_tiles and options.single_layer == ALL_LAYERS)
    background = BACKGROUNDS[options.background]

    def write_tile_set(name: str, number: int, layer: Layer | None = None) -> TileSet:
        label = layer.name if layer else ""
        image = (
            source.open_full_size(background, out) if layer is None else source.open_full_size(None, out, layer.index)
        )
        return write_tiles(
            image, out, name, lambda share: progress.update("tiles", (number + share) / tile_set_count, label)
        )

    if options.single_layer != ALL_LAYERS:
        return _tile_one_layer(manifest, options.single_layer, write_tile_set)
    all_tiles = write_tile_set("tiles", 0)
    layers = manifest.layers
    if options.layer_tiles:
        tile_sets = {
            layer.index: write_tile_set(f"layers/{layer.index:03d}", number, layer)
            for number, layer in enumerate(visible_layers, 1)
        }
        # A layer identical to the preview needs no tiles of its own.
        layers = [
            layer.model_copy(update={"tiles": tile_sets.get(layer.index, all_tiles)}) if layer.file else layer
            for layer in layers
        ]
    return manifest.model_copy(update={"tiles": all_tiles, "layers": layers})


def _tile_one_layer(manifest: Manifest, index: int, write_tile_set: Callable[[str, int, Layer], TileSet]) -> Manifest:
    """Return the manifest with the tiles of one layer. Raises `BlueprintError` (`no-such-layer`)."""
    layer = next((layer for layer in manifest.layers if layer.index == index and layer.file), None)
    if layer is None:
        raise BlueprintError(
            "no-such-layer", f"Layer {index} is empty or does not exist. Choose one that has a file in the manifest."
        )
    tiled_layer = layer.model_copy(update={"tiles": write_tile_set(f"layers/{index:03d}", 0, layer)})
    return manifest.model_copy(
        update={"layers": [tiled_layer if other is layer else other for other in manifest.layers]}
    )
