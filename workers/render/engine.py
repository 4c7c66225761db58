"""The steps of a render, in order: plan, open, draw, compose, encode, tiles, manifest."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from wand.exceptions import WandException

from tasks.plan import Plan, PlanError, plan
from tasks.renders import ALL_LAYERS, ENGINE_VERSION, RenderOptions
from workers.render.compose import BACKGROUNDS, compose
from workers.render.encode import choose_encoding, encode
from workers.render.errors import BlueprintError
from workers.render.manifest import Layer, Manifest, OutputFile, Preview, SourceFacts
from workers.render.progress import ProgressReporter, Stage, Step
from workers.render.raster import Raster
from workers.render.sources import Source, open_source
from workers.render.tiles.stage import TILES_WEIGHT, add_tiles, delete_checkpoint, load_checkpoint


def run(path: Path, out: Path, options: RenderOptions, report: Callable[[Step], None]) -> Manifest:
    """See `workers.render.render`; `native.prepare` comes first."""
    estimate = _plan(path, options)
    progress = ProgressReporter(report, _weights(estimate, options))
    progress.update("plan")
    digest = _sha256(path)
    source = open_source(estimate, path, options, progress)
    facts = _source_facts(estimate, source, digest)
    manifest = load_checkpoint(out, facts, options)
    if manifest is None:
        preview, base = _preview(source, out, options, progress)
        layers = _layers(source, out, options, progress, preview, base)
        manifest = Manifest(
            engine=ENGINE_VERSION,
            source=facts,
            options=options,
            preview=preview,
            layers=layers,
            draw_order_matters=source.draw_order_matters,
            warnings=list(source.warnings),
        )
    if options.tiles:
        manifest = add_tiles(source, manifest, out, progress)
    progress.update("manifest")
    manifest.write(out / "manifest.json")
    delete_checkpoint(out)
    progress.update("manifest", 1.0)
    return manifest


def _plan(path: Path, options: RenderOptions) -> Plan:
    try:
        return plan(path, width=options.width, tiles=options.tiles, page=options.page)
    except PlanError as error:
        raise BlueprintError(error.code, error.message) from error


def _weights(estimate: Plan, options: RenderOptions) -> dict[Stage, float]:
    """Shares of the time, as measured on each family."""
    tiles = TILES_WEIGHT if options.tiles else 0
    if estimate.format == "dxf":
        return {"plan": 1, "open": 30, "draw": 30, "compose": 10, "encode": 28, "tiles": tiles, "manifest": 1}
    return {"plan": 2, "open": 3, "draw": 60, "compose": 20, "encode": 13, "tiles": tiles, "manifest": 2}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _preview(
    source: Source, out: Path, options: RenderOptions, progress: ProgressReporter
) -> tuple[Preview, Raster | None]:
    """Write the preview; also the piece that it shows where that is all there is to see of the background."""
    progress.update("compose")
    piece = source.draw_preview()
    form = choose_encoding(options.format, piece)
    base = piece if piece.is_opaque else None
    picture = compose(piece, BACKGROUNDS[options.background])
    del piece  # one copy of the pixels is enough while libwebp needs its own
    with picture:
        file = encode(picture, out / "preview", form)
    width, height = source.size
    return Preview(**file.model_dump(), width=width, height=height), base


def _layers(
    source: Source,
    out: Path,
    options: RenderOptions,
    progress: ProgressReporter,
    preview: OutputFile,
    background_raster: Raster | None,
) -> list[Layer]:
    """Draw, encode and drop one layer after the other."""
    (out / "layers").mkdir(exist_ok=True)
    layers = []
    for index, layer in enumerate(source.layers):
        progress.update("encode", index / len(source.layers), layer.name)
        facts = Layer(
            index=index, name=layer.name, colour=layer.colour, visible=layer.visible, plottable=layer.plots, empty=True
        )
        if layer.box is not None and layer.visible:
            if options.single_layer in (ALL_LAYERS, index):
                facts = _layer(source, facts, out, options, preview, background_raster)
            else:
                facts = facts.model_copy(update={"empty": False})
        layers.append(facts)
    return layers


def _layer(
    source: Source,
    facts: Layer,
    out: Path,
    options: RenderOptions,
    preview: OutputFile,
    background_raster: Raster | None,
) -> Layer:
    """The layer with its file; one that fails says why, and the others are delivered."""
    stem = out / "layers" / f"{facts.index:03d}"
    try:
        piece = source.draw_layer(facts.index)
        if piece.is_blank:
            return facts
        if piece is background_raster:
            suffix = Path(preview.file).suffix
            shutil.copyfile(out / preview.file, stem.with_suffix(suffix))
            file = preview.model_copy(update={"file": f"{stem.name}{suffix}"})
        else:
            with compose(piece, None) as picture:
                file = encode(picture, stem, choose_encoding(options.format, piece))
    except (BlueprintError, WandException, ValueError, ArithmeticError) as error:
        return facts.model_copy(update={"error": f"This layer could not be drawn ({error})."})
    return facts.model_copy(
        update={
            "empty": False,
            "extent": piece.box,
            "file": f"layers/{file.file}",
            "bytes": file.bytes,
            "sha256": file.sha256,
        }
    )


def _source_facts(estimate: Plan, source: Source, digest: str) -> SourceFacts:
    geometry = source.geometry
    return SourceFacts(
        sha256=digest,
        format=estimate.format,
        bytes=estimate.size,
        width=geometry.width,
        height=geometry.height,
        pages=geometry.pages,
        extents=geometry.extents,
        units=geometry.units,
        layouts=geometry.layouts,
    )
