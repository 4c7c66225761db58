"""What `bulkhead render` rejects before it renders anything."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import app as bulkhead
from cli.commands.render import OutputDirectoryInUse

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><rect width="9" height="9"/></svg>'


@pytest.fixture
def drawing(tmp_path: Path) -> Path:
    path = tmp_path / "a.svg"
    path.write_text(SVG)
    return path


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(bulkhead.app, ["render", *arguments])


def test_given_the_current_directory_as_output_then_it_is_not_replaced_and_the_error_suggests_another(
    drawing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    result = invoke(str(drawing), "--out", ".")

    assert isinstance(result.exception, OutputDirectoryInUse)
    assert str(result.exception) == (
        "--out is the current directory, which would be replaced. Choose another one, such as ./drawing."
    )
    assert set(tmp_path.iterdir()) == {drawing, tmp_path / "here"}


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ("1,2", "--region: write it as --help shows."),
        (
            "0,0,99999,5",
            "--region: give left,top,right,bottom from 0 to 10000, at least 100 apart, such as 0,0,5000,5000.",
        ),
    ],
)
def test_given_an_invalid_region_then_the_error_says_how_to_write_it(
    drawing: Path, tmp_path: Path, region: str, message: str
) -> None:
    result = invoke(str(drawing), "--out", str(tmp_path / "out"), "--region", region)

    assert str(result.exception) == message
