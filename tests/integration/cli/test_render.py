"""`bulkhead render` as a user runs it: with a real drawing, real failures and a real kill."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil
import pytest

from cli import app as bulkhead
from examples.pump_station.drawing import draw, save
from examples.pump_station.standards import LAYERS
from tasks.plan import plan
from tests.services.processes import is_gone

ROOT = Path(bulkhead.__file__).parents[1]
BLUEPRINTS = ROOT.parent / "shared/data/blueprints"

# A render of this width takes seconds, long enough to interrupt it.
LONG = ("--width", "3000")
LOADED = 60 * 1024 * 1024  # bytes; resident set of a process that has loaded its libraries and the drawing


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drawing") / "station.dxf"
    save(draw(), path)
    return path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "cli", "render", *arguments]


def render(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=100, cwd=cwd)


@contextmanager
def running_render(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", psutil.Process]]:
    """Run a render for the length of the block. Yields it and the process that renders."""
    with subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as parent:
        try:
            yield parent, _rendering_process(parent)
        finally:
            parent.kill()


def _rendering_process(parent: "subprocess.Popen[str]") -> psutil.Process:
    """The one that has entered its working directory."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert parent.poll() is None, _rest(parent.stderr)
        for process in psutil.Process(parent.pid).children(recursive=True):
            with suppress(psutil.Error):
                if Path(process.cwd()).name.startswith(".bulkhead-"):
                    return process
        time.sleep(0.005)
    raise AssertionError("no process started to render")


def _rest(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.read()


def test_given_a_drawing_when_it_is_rendered_then_every_visible_layer_is_a_file_and_json_lists_them(
    drawing: Path, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "out"
    result = render(str(drawing), "--out", str(out), "--width", "800", "--json")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    facts = json.loads(result.stdout)
    manifest = json.loads(Path(facts["manifest"]).read_text())
    assert facts["layers"] == [str(out / layer["file"]) for layer in manifest["layers"] if not layer["empty"]]
    assert len(facts["layers"]) == len(LAYERS) - 3  # one is off, one is frozen, and viewports lie in paper space
    assert all(Path(path).stat().st_size > 0 for path in [facts["preview"], *facts["layers"]])
    assert facts["planned"]["peak_bytes"] == plan(drawing, width=800).peak_bytes
    assert facts["peak_bytes"] > LOADED
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_given_an_earlier_render_when_it_is_rendered_again_then_it_is_replaced(drawing: Path, tmp_path: Path) -> None:
    for width in ("400", "500"):
        result = render(str(drawing), "--out", "out", "--width", width, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert f"{width} x " in result.stdout
    assert json.loads((tmp_path / "out/manifest.json").read_text())["preview"]["width"] == 500


def test_given_a_directory_with_other_files_then_it_is_not_changed(drawing: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    result = render(str(drawing), "--out", str(tmp_path))
    assert result.returncode == 2
    assert (
        result.stderr
        == f"{tmp_path} holds files that are not outputs of a render. Choose another directory for --out.\n"
    )
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_given_a_truncated_drawing_then_it_is_rejected_from_its_header(drawing: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.dxf"
    torn.write_bytes(drawing.read_bytes()[:100_000])
    result = render(str(torn), "--out", str(tmp_path / "out"), "--json")
    assert result.returncode == 2
    assert result.stderr == (
        "The DXF ends before its EOF marker. Export it again and check that the upload is complete.\n"
    )
    assert json.loads(result.stdout)["error"]["code"] == "truncated"
    assert not (tmp_path / "out").exists()


def test_given_a_damaged_file_then_the_engine_reports_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "plan.pdf"
    path.write_bytes(b"%PDF-1.7\n1 0 obj << /Type /Catalog\nstartxref\n9\n%%EOF\n")
    result = render(str(path), "--out", str(tmp_path / "out"), "--json")
    assert result.returncode == 1
    assert json.loads(result.stdout)["error"]["code"] == "damaged-pdf"
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_given_an_unknown_layout_then_the_error_lists_the_layouts(drawing: Path, tmp_path: Path) -> None:
    result = render(str(drawing), "--out", str(tmp_path / "out"), "--layout", "Attic")
    assert result.returncode == 1
    assert "There is no layout 'Attic'." in result.stderr
    assert "GA 1-50" in result.stderr


def test_given_a_package_of_the_same_name_in_the_current_directory_then_our_engine_is_used(
    drawing: Path, tmp_path: Path
) -> None:
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers/__init__.py").write_text("raise SystemExit('trapped')")
    (tmp_path / "json.py").write_text("raise SystemExit('trapped')")
    result = render(str(drawing), "--out", "out", "--width", "200", cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def test_given_a_killed_render_process_then_the_explanation_names_its_stage(drawing: Path, tmp_path: Path) -> None:
    with running_render(str(drawing), "--out", str(tmp_path / "out"), *LONG) as (parent, process):
        process.kill()
        _stdout, stderr = parent.communicate(timeout=30)
    assert parent.returncode == 1
    assert "The process was killed from outside with SIGKILL. It was " in stderr
    assert " MiB of 512 MiB. The drawing is not the cause. Repeat the command." in stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_given_a_signal_then_no_process_remains_and_its_files_are_deleted(
    number: signal.Signals, code: int, drawing: Path, tmp_path: Path
) -> None:
    with running_render(str(drawing), "--out", str(tmp_path / "out"), *LONG) as (parent, process):
        zygote = process.parent()
        os.kill(parent.pid, number)
        _stdout, stderr = parent.communicate(timeout=30)
        assert parent.returncode == code
        assert zygote is not None
        assert is_gone(zygote)
        assert is_gone(process)
    assert "Traceback" not in stderr
    assert not list(tmp_path.iterdir())


def test_given_limits_of_imagemagick_in_the_environment_then_they_have_no_effect(
    drawing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAGICK_MEMORY_LIMIT", "16MiB")
    result = render(str(drawing), "--out", str(tmp_path / "out"))
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(not BLUEPRINTS.is_dir(), reason="the shared drawings are not on this machine")
def test_given_a_real_floor_plan_then_every_visible_layer_is_a_file(tmp_path: Path) -> None:
    result = render(str(BLUEPRINTS / "floorplan.dxf"), "--out", str(tmp_path / "out"), "--json")
    assert result.returncode == 0, result.stderr
    files = {str(path) for path in (tmp_path / "out/layers").iterdir()}
    assert set(json.loads(result.stdout)["layers"]) == files
    assert len(files) == 17
