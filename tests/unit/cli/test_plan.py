"""`bulkhead plan`."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import app as bulkhead
from examples.pump_station.drawing import draw, save
from tasks.errors import InvalidInput
from tasks.settings import settings


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drawing") / "station.dxf"
    save(draw(), path)
    return path


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(bulkhead.app, ["plan", *arguments])


def test_given_a_drawing_then_its_cost_is_printed(drawing: Path) -> None:
    result = invoke(str(drawing))
    assert result.exit_code == 0
    assert "format   dxf (image/vnd.dxf)" in result.output
    assert "layers   26" in result.output
    assert "memory   about " in result.output


def test_given_a_drawing_when_json_is_requested_then_the_output_is_json(drawing: Path) -> None:
    planned = json.loads(invoke(str(drawing), "--json").output)
    assert planned["format"] == "dxf"
    assert planned["layers"] == 26
    assert planned["memory_limit_bytes"] == settings().memory_limit
    assert planned["fits"] is True


def test_given_a_preview_above_the_memory_limit_then_the_plan_is_printed_and_rejected(drawing: Path) -> None:
    result = invoke(str(drawing), "--json", "--width", "16383")
    assert json.loads(result.output)["fits"] is False
    assert isinstance(result.exception, InvalidInput)
    assert result.exception.exit_code == 2
    assert "choose a smaller width" in result.exception.message


def test_given_a_file_of_an_unknown_format_then_the_error_names_the_formats(tmp_path: Path) -> None:
    path = tmp_path / "drawing.dxf"
    path.write_text("Dear Sir, please find the drawing attached.")
    result = invoke(str(path))
    assert isinstance(result.exception, InvalidInput)
    assert result.exception.message.startswith("The file name ends in .dxf, but its content is")
    assert "Send DXF, SVG, PDF" in result.exception.message


def test_given_a_missing_file_then_it_is_a_usage_error(tmp_path: Path) -> None:
    result = invoke(str(tmp_path / "none.dxf"))
    assert result.exit_code == 2
    assert "does not exist" in result.output
