"""Real renders in the sandbox: each family of drawings, and each way to fail."""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import pyvips
from ezdxf.filemanagement import new

from tasks.plan import plan
from tasks.renders import RenderOptions
from tests.engine.drawings import text_pdf
from tests.integration.render.sandbox import LIMITS, MIB, RenderSandbox, render_sandbox
from workers.render import render
from workers.render.errors import BlueprintError, EngineError
from workers.render.sandboxed import RESIDUE, check_residue
from workers.render.sandboxed.outputs import InvalidOutput
from workers.sandbox.causes import Cause
from workers.sandbox.confinement import landlock
from workers.sandbox.runner import BodyFailed, ProcessDied

DEBIAN_12_ABI = 2
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="300"><text x="30" y="200">Pump</text></svg>'
NAMES = ("drawing.dxf", "drawing.svg", "scan.png", "scan.tif", "sheet.pdf")


@pytest.fixture(scope="module", params=[DEBIAN_12_ABI, None], ids=["Landlock of Debian 12", "Landlock of this kernel"])
def confined(request: pytest.FixtureRequest) -> Iterator[RenderSandbox]:
    """Renders under an older and under this kernel's Landlock."""
    if request.param is not None and landlock.abi() < request.param:
        pytest.skip("this kernel has an older Landlock")
    with render_sandbox(abi=request.param) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a small drawing of each family."""
    folder = tmp_path_factory.mktemp("sources")
    (folder / "drawing.svg").write_text(SVG)
    document = new("R2010", setup=True)
    document.modelspace().add_line((0, 0), (100, 50))
    document.modelspace().add_text("Pump", height=10)
    document.saveas(folder / "drawing.dxf")
    pyvips.Image.black(600, 400).write_to_file(str(folder / "scan.tif"))
    pyvips.Image.black(600, 400).write_to_file(str(folder / "scan.png"))
    text_pdf(folder / "sheet.pdf")
    return folder


@pytest.mark.parametrize("tiles", [False, True], ids=["preview", "tiles"])
@pytest.mark.parametrize("name", NAMES)
def test_given_a_drawing_of_each_family_when_rendered_in_the_sandbox_then_the_outputs_are_those_of_the_engine(
    confined: RenderSandbox, sources: Path, tmp_path: Path, work: Path, name: str, tiles: bool
) -> None:
    direct = tmp_path / "direct"
    direct.mkdir()
    render(sources / name, direct, RenderOptions(width=512, tiles=tiles))

    rendered = confined.render(sources / name, work, tiles=tiles)

    assert contents(rendered.out) == contents(direct)
    assert confined.progress[-1].percent == 100
    assert set(rendered.residue) == RESIDUE


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_given_a_zygote_with_the_engine_then_it_has_one_thread_and_no_socket_but_its_control(
    sandbox: RenderSandbox, sources: Path, work: Path
) -> None:
    sandbox.render(sources / "drawing.svg", work)

    process = psutil.Process(sandbox.zygote.pid)
    assert process.num_threads() == 1
    assert not process.net_connections("inet")
    assert not [name for name in process.environ() if name.startswith("BULKHEAD")]


def test_given_two_renders_then_each_has_its_own_process_which_is_gone_afterwards(
    sandbox: RenderSandbox, sources: Path, tmp_path: Path
) -> None:
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        sandbox.render(sources / "drawing.dxf", folder)
    deadline = time.monotonic() + 5
    while len(children := psutil.Process(sandbox.zygote.pid).children()) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(children) <= 1  # the next one, rehearsed


def test_given_a_damaged_drawing_then_the_error_is_that_of_the_engine(
    sandbox: RenderSandbox, tmp_path: Path, work: Path
) -> None:
    source = tmp_path / "plan.pdf"
    source.write_bytes(b"%PDF-1.7\n1 0 obj << /Type /Catalog\nstartxref\n9\n%%EOF\n")
    with pytest.raises(BlueprintError) as caught:
        sandbox.render(source, work)
    assert caught.value.code == "damaged-pdf"


def test_given_an_engine_that_cannot_be_prepared_then_the_machine_is_to_blame(sources: Path, work: Path) -> None:
    with (
        render_sandbox(interpreter=("/usr/bin/env", "MAGICK_MEMORY_LIMIT=16MiB", sys.executable, "-P")) as sandbox,
        pytest.raises(EngineError, match="ImageMagick did not apply the limits"),
    ):
        sandbox.render(sources / "drawing.svg", work)


def test_given_a_render_over_its_memory_limit_then_the_death_is_explained(
    sandbox: RenderSandbox, tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "large.png"
    pyvips.Image.gaussnoise(6000, 6000).cast("uchar").write_to_file(str(source))
    monkeypatch.setattr(sandbox, "limits", replace(LIMITS, memory=110 * MIB))
    with pytest.raises(ProcessDied) as caught:
        sandbox.render(source, work, width=4000)
    assert caught.value.death.cause is Cause.OUT_OF_MEMORY


def test_given_a_render_over_its_time_limit_then_the_death_names_its_processor_time(
    sandbox: RenderSandbox, sources: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "limits", replace(LIMITS, cpu=0.05))
    with pytest.raises(ProcessDied) as caught:
        sandbox.render(sources / "drawing.dxf", work, width=4096, tiles=True)
    assert caught.value.death.cause is Cause.TIME_LIMIT


def test_given_outputs_of_an_attempt_that_was_taken_over_then_they_are_refused(
    sandbox: RenderSandbox, sources: Path, work: Path
) -> None:
    (work / "out").mkdir()
    (work / "out" / "index.html").write_text("<script>alert(1)</script>")
    with pytest.raises(InvalidOutput, match=r"index\.html"):
        sandbox.render(sources / "drawing.svg", work)


def test_given_a_plan_that_the_body_does_not_know_then_the_failure_is_ours(
    sandbox: RenderSandbox, sources: Path, work: Path
) -> None:
    planned = replace(plan(sources / "drawing.svg"), format="unknown")
    with pytest.raises(BodyFailed) as caught:
        sandbox.render(sources / "drawing.svg", work, planned=planned)
    assert caught.value.code == "internal-error"


def test_given_facts_that_are_no_numbers_then_they_are_not_recorded() -> None:
    facts = {"memory_growth_bytes": 5, "pixel_bytes": True, "heap_growth_bytes": "x", "html": 5, "spilled_bytes": None}
    assert check_residue(facts) == {"memory_growth_bytes": 5}


def test_given_temporary_files_of_a_killed_attempt_then_the_next_one_removes_them(
    sandbox: RenderSandbox, sources: Path, work: Path
) -> None:
    (work / "tmp").mkdir()
    (work / "tmp" / "spilled").write_bytes(b"x")
    sandbox.render(sources / "drawing.svg", work)
    assert sorted(os.listdir(work)) == ["out", "tmp"]  # noqa: PTH208
    assert not list((work / "tmp").iterdir())
