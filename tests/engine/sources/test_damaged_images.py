"""Damaged images: refused if data is missing, drawn with a warning if it is doubtful, never silently wrong."""

from pathlib import Path

import numpy as np
import pytest

from tests.engine.conftest import Render
from tests.engine.sources.test_raster import HEIGHT, RGB, as_vips
from workers.render import BlueprintError, Manifest

NOISE = np.random.default_rng(5).integers(0, 40, RGB.shape, np.uint8)
SHEET = np.maximum(RGB, NOISE)


def damaged(path: Path, kind: str) -> Path:
    """Overwrite or remove a tenth of the file after its middle."""
    data = bytearray(path.read_bytes())
    at, count = len(data) // 2, len(data) // 10
    if kind == "cut":
        del data[at + count :]
    else:
        chance = np.random.default_rng(3)
        data[at : at + count] = bytes(count) if kind == "zeroed" else chance.integers(0, 255, count, np.uint8).tobytes()
    path.write_bytes(data)
    return path


def outcome(draw: Render, path: Path) -> str:
    """Return the code of the error or warning; empty if there is neither."""
    try:
        manifest: Manifest = draw(path, width=350)
    except BlueprintError as error:
        return error.code
    return ",".join(warning.code for warning in manifest.warnings)


@pytest.mark.parametrize("kind", ["zeroed", "random"])
@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("a.png", {}),
        ("a.tif", {"compression": "deflate"}),
        ("a.tif", {"compression": "deflate", "tile": True}),
        ("a.tif", {"compression": "deflate", "bigtiff": True}),
        ("a.tif", {"compression": "lzw"}),
        ("a.tif", {"compression": "jpeg"}),
        ("a.jpg", {"interlace": True}),
        ("a.webp", {"lossless": True}),
    ],
)
def test_given_an_image_with_damaged_data_when_rendered_then_it_is_refused_or_reported(
    tmp_path: Path, draw: Render, name: str, save: dict[str, object], kind: str
) -> None:
    path = tmp_path / name
    as_vips(SHEET, "srgb").write_to_file(str(path), **save)
    assert outcome(draw, path) == ""

    assert outcome(draw, damaged(path, kind)) in {"damaged-image", "damaged"}


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
def test_given_a_truncated_image_when_rendered_then_it_is_refused(tmp_path: Path, draw: Render, name: str) -> None:
    path = tmp_path / name
    as_vips(SHEET, "srgb").write_to_file(str(path))

    assert outcome(draw, damaged(path, "cut")) in {"damaged-image", "truncated"}


def test_given_a_fax_with_bad_codes_when_rendered_then_the_manifest_reports_the_damage(
    tmp_path: Path, draw: Render
) -> None:
    path = tmp_path / "a.tif"
    sheet = np.zeros((HEIGHT, 700, 1), np.uint8)
    sheet[::7], sheet[:, ::9] = 255, 255
    as_vips(sheet, "b-w").tiffsave(str(path), compression="ccittfax4", bitdepth=1)

    manifest = draw(damaged(path, "zeroed"), width=350)

    assert [warning.code for warning in manifest.warnings] == ["damaged"]
    assert manifest.warnings[0].message == (
        "The TIFF is damaged (its decoder found errors), so the render may be wrong. Compare it with the original."
    )


def test_given_deflate_strips_when_damaged_anywhere_then_the_damage_is_reported(tmp_path: Path, draw: Render) -> None:
    path = tmp_path / "a.tif"
    as_vips(SHEET, "srgb").tiffsave(str(path), compression="deflate")
    whole = path.read_bytes()
    for at in range(len(whole) // 20, len(whole) * 9 // 10, len(whole) // 20):
        path.write_bytes(whole[:at] + bytes(64) + whole[at + 64 :])
        assert outcome(draw, path) in {"damaged-image", "damaged"}
