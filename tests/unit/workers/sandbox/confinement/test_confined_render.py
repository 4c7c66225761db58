"""Real renders in confined processes, which a process with the engine forks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ezdxf.filemanagement import new

from tests.engine.drawings import text_pdf

# Forks a confined process for each source, as the zygote does, and prints the exit codes.
ZYGOTE = """
import json, os, sys
from pathlib import Path
from tasks.renders import RenderOptions
from workers.render import render
from workers.render.warm_up import warm_up
from workers.sandbox.confinement import prepare
from workers.sandbox.confinement.limits import ProcessLimits
warm_up()
abi, tiles, out, *sources = sys.argv[1:]
confinement = prepare([], abi=int(abi))
ends = []
for source in sources:
    work = Path(out) / Path(source).name
    work.mkdir()
    child = os.fork()
    if not child:
        os.environ["TMPDIR"] = str(work)
        source_descriptor, work_descriptor = os.open(source, os.O_RDONLY), os.open(work, os.O_PATH)
        limits = ProcessLimits(file_size=64 * 1024**2, cpu_time=60)
        try:
            confinement.enter(sources=[source_descriptor], work=work_descriptor, execute=False, limits=limits)
            render(Path(source), work, RenderOptions(width=512, tiles=tiles == "tiles"))
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    ends.append(os.waitpid(child, 0)[1])
print(json.dumps(ends))
"""
ROOT = Path(__file__).resolve().parents[5]
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="300"><text x="30" y="200">Pump</text></svg>'


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """A small drawing of each family."""
    import pyvips

    (tmp_path / "drawing.svg").write_text(SVG)
    document = new("R2010")
    document.modelspace().add_line((0, 0), (100, 50))
    document.saveas(tmp_path / "drawing.dxf")
    pyvips.Image.black(600, 400).write_to_file(str(tmp_path / "scan.tif"))
    pyvips.Image.black(600, 400).write_to_file(str(tmp_path / "scan.png"))
    text_pdf(tmp_path / "sheet.pdf")
    return sorted(path for path in tmp_path.iterdir() if path.is_file())


@pytest.mark.parametrize(("abi", "tiles"), [(2, "tiles"), (99, "preview")])
def test_given_a_confined_process_when_it_renders_each_family_then_the_outputs_exist(
    tmp_path: Path, sources: list[Path], abi: int, tiles: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    environment = {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", ZYGOTE, str(abi), tiles, str(out), *map(str, sources)]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=True)
    assert json.loads(process.stdout) == [0] * len(sources), process.stderr
    for source in sources:
        assert (out / source.name / "manifest.json").exists()
        assert (out / source.name / "preview.webp").exists()
        assert (out / source.name / "tiles.dzi").exists() == (tiles == "tiles")
