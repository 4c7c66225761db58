"""DWG: drawn if a converter is configured, otherwise refused with advice."""

import shutil
from pathlib import Path

import pytest
from workers.render.sources.dwg import build_command

from tasks.plan import Unsupported, plan
from tasks.settings import settings
from tests.engine.conftest import Render
from workers.render import BlueprintError, EngineError


@pytest.fixture
def dwg(tmp_path: Path) -> Path:
    path = tmp_path / "drawing of mine.dwg"
    path.write_bytes(b"AC1032" + bytes(200))
    return path


@pytest.fixture
def converter(monkeypatch: pytest.MonkeyPatch) -> object:
    """Sets BULKHEAD_DWG_CONVERTER for a test."""

    def choose(words: str) -> None:
        monkeypatch.setenv("BULKHEAD_DWG_CONVERTER", words)
        settings.cache_clear()

    yield choose
    monkeypatch.undo()
    settings.cache_clear()


def test_given_no_converter_when_planned_then_the_refusal_says_what_to_do(dwg: Path) -> None:
    settings.cache_clear()

    with pytest.raises(Unsupported, match=r"Save it as DXF .* or set BULKHEAD_DWG_CONVERTER on the server"):
        plan(dwg)


def test_given_a_converter_when_rendered_then_what_it_writes_is_drawn(
    dwg: Path, pump: Path, draw: Render, converter: object
) -> None:
    assert callable(converter)
    converter(f"cp {pump} {{target}}")

    manifest = draw(dwg, width=100)

    assert manifest.source.format == "dwg"
    assert {layer.name for layer in manifest.layers if layer.file} == {"PIPES", "VALVES"}


def test_given_a_converter_that_fails_when_rendered_then_the_error_says_so_and_nothing_is_left(
    dwg: Path, draw: Render, converter: object
) -> None:
    assert callable(converter)
    before = set(Path("/var/tmp").iterdir())
    converter("false {source} {target}")
    with pytest.raises(BlueprintError) as caught:
        draw(dwg)

    assert caught.value.code == "damaged-dwg"
    assert caught.value.message == (
        "The DWG could not be converted (exit code 1). Save it as DXF (command DXFOUT) and send that."
    )
    assert set(Path("/var/tmp").iterdir()) <= before


def test_given_a_converter_that_is_not_installed_when_rendered_then_the_machine_is_to_blame(
    dwg: Path, draw: Render, converter: object
) -> None:
    assert callable(converter)
    assert shutil.which("no-such-converter") is None
    converter("no-such-converter {source} {target}")
    with pytest.raises(EngineError, match="See BULKHEAD_DWG_CONVERTER"):
        draw(dwg)


def test_given_paths_with_spaces_and_quotes_when_put_into_the_command_then_each_stays_one_word() -> None:
    words = build_command("dwg2dxf -y -o {target} {source}", Path("/a b/c';rm.dwg"), Path("/t.dxf"))

    assert words == ["dwg2dxf", "-y", "-o", "/t.dxf", "/a b/c';rm.dwg"]
