"""The steps of a render in their order: plan, open, draw, compose, encode, tiles, manifest."""

import shutil
from collections.abc import Callable
from pathlib import Path

from wand.exceptions import WandException

from tasks import plan as planner
from tasks.plan import Plan, PlanError
from tasks.renders import ALL_LAYERS, ENGINE_VERSION, RenderOptions
from tasks.utils.files import sha256_of
from workers.render.compose import BACKGROUNDS, compose
from workers.render.encode import choose_encoding, encode
from workers.render.errors import BlueprintError
from workers.render.manifest import Layer, Manifest, OutputFile, Preview, SourceFacts
from workers.render.progress import ProgressReporter, Stage, Step
from workers.render.raster import Raster
from workers.render.sources import Source, open_source
from workers.render.tiles.stage import TILES_WEIGHT, add_tiles, delete_checkpoint, load_checkpoint


def run(
    path: Path,
    out: Path,
    options: RenderOptions,
    report: Callable[[Step], None],
    *,
    plan: Plan | None = None,
    sha256: str | None = None,
) -> Manifest:
    """Implements `workers.render.render`. Call `native.prepare` before."""
    plan = plan or _plan(path, options)
    progress = ProgressReporter(report, _weights(plan, options))
    progress.update("plan")
    sha256 = sha256 or sha256_of(path)
    source = open_source(plan, path, options, progress)
    facts = _source_facts(plan, source, sha256)
    manifest = load_checkpoint(out, facts, options)
    if manifest is None:
        preview, background_raster = _preview(source, out, options, progress)
        layers = _layers(source, out, options, progress, preview, background_raster)
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
        return planner.plan(path, width=options.width, tiles=options.tiles, page=options.page)
    except PlanError as error:
        raise BlueprintError(error.code, error.message) from error


def _weights(plan: Plan, options: RenderOptions) -> dict[Stage, float]:
    """Share of each stage in the duration, measured for each family of formats."""
    tiles = TILES_WEIGHT if options.tiles else 0
    if plan.format == "dxf":
        return {"plan": 1, "open": 30, "draw": 30, "compose": 10, "encode": 28, "tiles": tiles, "manifest": 1}
    return {"plan": 2, "open": 3, "draw": 60, "compose": 20, "encode": 13, "tiles": tiles, "manifest": 2}


def _preview(
    source: Source, out: Path, options: RenderOptions, progress: ProgressReporter
) -> tuple[Preview, Raster | None]:
    """Write the preview. Returns its raster as well if that is opaque, because a layer may be the same picture."""
    progress.update("compose")
    raster = source.draw_preview()
    encoding = choose_encoding(options.format, raster)
    background_raster = raster if raster.is_opaque else None
    picture = compose(raster, BACKGROUNDS[options.background])
    del raster  # frees one copy of the pixels before libwebp makes its own
    with picture:
        file = encode(picture, out / "preview", encoding)
    width, height = source.size
    return Preview(**file.model_dump(), width=width, height=height), background_raster


def _layers(
    source: Source,
    out: Path,
    options: RenderOptions,
    progress: ProgressReporter,
    preview: OutputFile,
    background_raster: Raster | None,
) -> list[Layer]:
    """Draw, encode and release one layer after another."""
    (out / "layers").mkdir(exist_ok=True)
    layers = []
    for index, layer in enumerate(source.layers):
        progress.update("encode", index / len(source.layers), layer.name)
        facts = Layer(
            index=index,
            name=layer.name,
            colour=layer.colour,
            visible=layer.visible,
            plottable=layer.plottable,
            empty=True,
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
    """Draw a layer and write its file. An error is recorded in the layer, and the other layers are rendered."""
    stem = out / "layers" / f"{facts.index:03d}"
    try:
        raster = source.draw_layer(facts.index)
        if raster.is_blank:
            return facts
        if raster is background_raster:
            suffix = Path(preview.file).suffix
            shutil.copyfile(out / preview.file, stem.with_suffix(suffix))
            file = preview.model_copy(update={"file": f"{stem.name}{suffix}"})
        else:
            with compose(raster, None) as picture:
                file = encode(picture, stem, choose_encoding(options.format, raster))
    except (BlueprintError, WandException, ValueError, ArithmeticError) as error:
        return facts.model_copy(update={"error": f"This layer could not be drawn ({error}). Export the drawing again."})
    return facts.model_copy(
        update={
            "empty": False,
            "extent": raster.box,
            "file": f"layers/{file.file}",
            "bytes": file.bytes,
            "sha256": file.sha256,
        }
    )


def _source_facts(plan: Plan, source: Source, sha256: str) -> SourceFacts:
    geometry = source.geometry
    return SourceFacts(
        sha256=sha256,
        format=plan.format,
        bytes=plan.size,
        width=geometry.width,
        height=geometry.height,
        pages=geometry.pages,
        extents=geometry.extents,
        units=geometry.units,
        layouts=geometry.layouts,
    )
