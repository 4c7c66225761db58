"""Drawings have the same ink as in an independent rendering, in the preview and on each layer."""

from pathlib import Path

import numpy as np
import pytest

from examples.pump_station.drawing import LAYOUT
from examples.pump_station.drawing import draw as pump_station
from tasks.renders import RenderOptions
from tests.engine.drawings import pixels, save
from tests.integration.render.reference import INK, Mask, agreement, close_to, reference_ink
from workers.render import BlueprintError, render
from workers.render.manifest import Layer
from workers.render.native import prepare, prepare_vips

BLUEPRINTS = Path(__file__).resolve().parents[4] / "shared/data/blueprints"

# Minimum recall and precision at a tolerance of one pixel.
MIN_AGREEMENT = 0.99

WIDTH = 1024


@pytest.fixture(autouse=True, scope="module")
def _native() -> None:
    prepare()
    prepare_vips()


def _ink(out: Path, layer: Layer, size: tuple[int, int]) -> Mask:
    ink = np.zeros(size[::-1], bool)
    if layer.file and layer.extent:
        x, y, width, height = layer.extent
        ink[y : y + height, x : x + width] = pixels(out / layer.file)[..., 3] >= INK
    return ink


def _compare(source: Path, out: Path, layout: str) -> None:
    manifest = render(source, out, RenderOptions(width=WIDTH, background="transparent", layout=layout))
    size = (manifest.preview.width, manifest.preview.height)
    extents = manifest.source.extents
    assert extents is not None

    agreements = {
        "": agreement(pixels(out / "preview.webp")[..., 3] >= INK, reference_ink(source, layout, extents, size))
    }
    for layer in manifest.layers:
        if layer.visible:
            expected = reference_ink(source, layout, extents, size, layer.name)
            agreements[layer.name] = agreement(_ink(out, layer, size), expected)

    assert {name: both for name, both in agreements.items() if min(both) < MIN_AGREEMENT} == {}


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("floorplan", ""),
        ("us_states", ""),
        ("hatches_2", ""),
        ("text_mirror_shx_font", ""),
        ("viewport_frozen_layers", ""),
        ("viewport_frozen_layers", "Layout1"),
    ],
)
def test_given_a_real_drawing_when_rendered_then_its_ink_matches_an_independent_rendering(
    name: str, layout: str, tmp_path: Path
) -> None:
    source = BLUEPRINTS / f"{name}.dxf"
    if not source.exists():
        pytest.skip("the sample drawings are not on this machine")

    _compare(source, tmp_path, layout)


@pytest.mark.parametrize("layout", ["", LAYOUT])
def test_given_our_example_when_rendered_then_its_ink_matches_an_independent_rendering(
    layout: str, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    _compare(save(pump_station(), tmp_path / "pump-station.dxf"), tmp_path / "out", layout)


def test_given_a_drawing_damaged_beyond_repair_when_rendered_then_it_is_refused_with_advice(tmp_path: Path) -> None:
    source = BLUEPRINTS / "blocks.dxf"
    if not source.exists():
        pytest.skip("the sample drawings are not on this machine")

    with pytest.raises(BlueprintError, match=r"damaged beyond repair .* run AUDIT") as caught:
        render(source, tmp_path, RenderOptions())

    assert caught.value.code == "damaged-dxf"


def test_given_ink_that_is_missing_or_too_much_when_compared_then_recall_or_precision_falls() -> None:
    reference = np.zeros((20, 20), bool)
    reference[5, 2:18] = True
    half, shifted, doubled = reference.copy(), np.roll(reference, 1, axis=0), reference.copy()
    half[:, 10:] = False
    doubled[15] = reference[5]

    assert agreement(shifted, reference) == (1, 1)
    assert agreement(half, reference) == (9 / 16, 1)
    assert agreement(doubled, reference) == (1, 0.5)
    assert close_to(reference).sum() == 3 * 18
