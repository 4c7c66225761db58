"""Drawings whose uninterrupted document would exceed the memory limit, rendered in the sandboxed child."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.support.plant_drawing import LAYERS, write_plant
from cli import app as bulkhead
from tasks.plan import plan
from tasks.plan.dxf import DOCUMENT_BYTES_PER_BYTE, MAX_IN_MEMORY_BYTES

ROOT = Path(bulkhead.__file__).parents[1]
MIB = 1024**2

# Half of what ezdxf's uninterrupted document of the drawing would take.
MEMORY_LIMIT = 256 * MIB
ENTITIES = 60_000


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plant") / "plant.dxf"
    write_plant(path, ENTITIES)
    return path


def test_given_the_same_number_when_a_plant_is_generated_twice_then_its_bytes_are_the_same(tmp_path: Path) -> None:
    for name in ("one.dxf", "two.dxf"):
        write_plant(tmp_path / name, 500)

    assert (tmp_path / "one.dxf").read_bytes() == (tmp_path / "two.dxf").read_bytes()


def test_given_a_large_drawing_when_rendered_under_a_low_memory_limit_then_every_layer_is_there_and_memory_stays_small(
    plant: Path, tmp_path: Path
) -> None:
    size = plant.stat().st_size
    assert size > MAX_IN_MEMORY_BYTES
    assert DOCUMENT_BYTES_PER_BYTE * size > MEMORY_LIMIT

    options = ("--out", str(tmp_path / "out"), "--width", "1024", "--json")
    result = subprocess.run(
        [sys.executable, "-m", "cli", "render", str(plant), *options],
        capture_output=True,
        text=True,
        timeout=110,
        env={**os.environ, "BULKHEAD_MEMORY_LIMIT": str(MEMORY_LIMIT)},
    )

    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    drawn = {layer["name"] for layer in manifest["layers"] if layer["file"]}
    assert drawn == set(LAYERS)
    assert facts["peak_bytes"] < MEMORY_LIMIT
    assert plan(plant, width=1024).peak_bytes >= facts["peak_bytes"] * 0.9
