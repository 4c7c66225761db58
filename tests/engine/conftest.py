"""Fixtures that render generated blueprints."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from ezdxf import units
from ezdxf.filemanagement import new

from tasks.renders import RenderOptions
from tests.engine.drawings import save
from workers.render import Manifest, Step, render
from workers.render.native import prepare, prepare_vips

Render: TypeAlias = Callable[..., Manifest]


@pytest.fixture(autouse=True, scope="session")
def _native() -> None:
    prepare()
    prepare_vips()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty directory to render into."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def draw(out: Path) -> Render:
    """Render a source with the given options, collecting progress in `steps` if given."""

    def run(source: Path, steps: list[Step] | None = None, **options: object) -> Manifest:
        progress = steps.append if steps is not None else lambda _step: None
        return render(source, out, RenderOptions.model_validate(options), progress=progress)

    return run


@pytest.fixture
def pump(tmp_path: Path) -> Path:
    """A small drawing: two drawn layers, one off, one frozen, one empty, a block on layer 0 and a BYBLOCK block."""
    document = new("R2010", setup=True)
    document.units = units.MM
    for name, colour in (("PIPES", 1), ("VALVES", 3), ("HIDDEN", 5), ("COLD", 6), ("NOTES", 2)):
        document.layers.add(name, color=colour)
    document.layers.get("HIDDEN").off()
    document.layers.get("COLD").freeze()
    block = document.blocks.new("VALVE")
    block.add_lwpolyline([(0, 0), (4, 2), (4, 0), (0, 2)], close=True, dxfattribs={"layer": "0", "color": 0})
    space = document.modelspace()
    space.add_line((0, 0), (100, 0), {"layer": "PIPES"})
    space.add_line((0, 50), (100, 50), {"layer": "PIPES"})
    space.add_blockref("VALVE", (20, 20), {"layer": "VALVES", "xscale": 4, "yscale": 4})
    space.add_circle((50, 25), 10, {"layer": "HIDDEN"})
    space.add_circle((50, 25), 5, {"layer": "COLD"})
    return save(document, tmp_path / "pump.dxf")
