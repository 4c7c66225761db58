"""DWG: drawn if a converter is configured, which runs confined; otherwise refused with advice."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from ezdxf.filemanagement import new

from tasks.plan import Unsupported, plan
from tasks.settings import settings
from tests.integration.render.sandbox import LIMITS, MIB, RenderSandbox
from workers.render.errors import BlueprintError, EngineError
from workers.render.sandboxed.conversion import build_command, convert_dwg
from workers.sandbox.causes import Cause
from workers.sandbox.runner import ProcessDied

MakeConverter = Callable[[str], str]


@pytest.fixture
def dwg(tmp_path: Path) -> Path:
    folder = tmp_path / "drawings of mine"
    folder.mkdir()
    path = folder / "drawing.dwg"
    path.write_bytes(b"AC1032" + bytes(200))
    return path


@pytest.fixture
def make_converter(tmp_path: Path) -> MakeConverter:
    """Installs a shell script as the converter, with the source as $1, the target as $2 and `pump.dxf` beside it."""
    folder = tmp_path / "converter"
    folder.mkdir()
    document = new("R2010", setup=True)
    document.layers.add("PIPES")
    document.modelspace().add_line((0, 0), (100, 50), {"layer": "PIPES"})
    document.saveas(folder / "pump.dxf")

    def make(script: str) -> str:
        program = folder / "convert"
        program.write_text(f"#!/bin/sh\ncd {folder}\n{script}\n")
        program.chmod(0o755)
        return f"{program} {{source}} {{target}}"

    return make


@pytest.fixture
def converter_setting(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("BULKHEAD_DWG_CONVERTER", "cp {source} {target}")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


def test_given_no_converter_when_planned_then_the_refusal_says_what_to_do(dwg: Path) -> None:
    settings.cache_clear()
    with pytest.raises(Unsupported, match=r"Save it as DXF .* or set BULKHEAD_DWG_CONVERTER on the server"):
        plan(dwg)


@pytest.mark.usefixtures("converter_setting")
def test_given_a_converter_when_rendered_then_what_it_writes_is_drawn(
    sandbox: RenderSandbox, dwg: Path, work: Path, make_converter: MakeConverter
) -> None:
    rendered = sandbox.render(dwg, work, dwg_converter=make_converter('cp pump.dxf "$2"'))

    assert rendered.manifest.source.format == "dwg"
    assert {layer.name for layer in rendered.manifest.layers if layer.file} == {"PIPES"}
    assert len(sandbox.outcomes) == 2


@pytest.mark.usefixtures("converter_setting")
def test_given_what_a_converter_left_in_an_earlier_attempt_then_it_is_removed_first(
    sandbox: RenderSandbox, dwg: Path, work: Path, make_converter: MakeConverter
) -> None:
    (work / "dwg").mkdir()
    (work / "dwg" / "drawing.dxf").symlink_to("/etc/passwd")
    sandbox.render(dwg, work, dwg_converter=make_converter('cp pump.dxf "$2"'))
    assert not (work / "dwg" / "drawing.dxf").is_symlink()


@pytest.mark.parametrize(
    ("script", "status"), [("exit 1", 1), ("exit 0", 0), ('mkdir "$2"', 0)], ids=["fails", "no file", "directory"]
)
def test_given_a_converter_that_writes_no_drawing_then_the_error_says_what_to_do(
    sandbox: RenderSandbox, dwg: Path, work: Path, make_converter: MakeConverter, script: str, status: int
) -> None:
    with pytest.raises(BlueprintError) as caught:
        convert_dwg(sandbox.run, make_converter(script), dwg, work)
    assert caught.value.code == "damaged-dwg"
    assert caught.value.message == (
        f"The DWG could not be converted (exit code {status}). Save it as DXF (command DXFOUT) and send that."
    )


@pytest.mark.parametrize(
    "attack",
    [
        "cat /etc/passwd",
        "cat {neighbour}",
        "cat /proc/1/environ",
        "ls /home",
        "echo x >{neighbour}",
        "ln -s /etc/passwd link",
        "echo x >pump.dxf",
        "python3 -c 'import socket; socket.socket()'",
        "kill -0 {supervisor}",
        "unshare -U true",
    ],
)
def test_given_a_converter_that_was_taken_over_then_it_reaches_nothing(
    sandbox: RenderSandbox, dwg: Path, work: Path, make_converter: MakeConverter, attack: str
) -> None:
    neighbour = dwg.with_name("of another job")
    neighbour.write_text("secret")
    command = attack.format(neighbour=f"'{neighbour}'", supervisor=os.getpid())
    script = f'if ({command}) >"$2" 2>&1; then exit 42; fi; exit 7'
    with pytest.raises(BlueprintError, match=r"exit code 7\)"):
        convert_dwg(sandbox.run, make_converter(script), dwg, work)
    assert neighbour.read_text() == "secret"


def test_given_a_converter_then_it_gets_no_environment_but_its_own(
    sandbox: RenderSandbox, dwg: Path, work: Path, make_converter: MakeConverter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULKHEAD_SECRET", "canary")
    target = convert_dwg(sandbox.run, make_converter('env >"$2"'), dwg, work)
    names = {line.partition("=")[0] for line in target.read_text().splitlines()}
    assert names <= {"TMPDIR", "LANG", "PWD", "OLDPWD", "SHLVL", "_"}


@pytest.mark.parametrize(
    ("script", "limits", "cause"),
    [
        ("while :; do :; done", {"cpu": 0.5}, Cause.TIME_LIMIT),
        ("sleep 60", {"idle": 0.5}, Cause.HUNG),
        ("kill -SEGV $$", {}, Cause.CRASH),
        ('dd if=/dev/zero of="$2" bs=1M count=64; sleep 60', {"disk": 16 * MIB}, Cause.QUOTA),
    ],
)
def test_given_a_converter_that_dies_then_its_death_is_explained(
    sandbox: RenderSandbox,
    dwg: Path,
    work: Path,
    make_converter: MakeConverter,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    limits: dict[str, float],
    cause: Cause,
) -> None:
    monkeypatch.setattr(sandbox, "limits", replace(LIMITS, **limits))  # type: ignore[arg-type]
    with pytest.raises(ProcessDied) as caught:
        convert_dwg(sandbox.run, make_converter(script), dwg, work)
    assert caught.value.death.cause is cause


def test_given_a_converter_that_is_not_installed_then_the_machine_is_to_blame(
    sandbox: RenderSandbox, dwg: Path, work: Path
) -> None:
    assert shutil.which("no-such-converter") is None
    with pytest.raises(EngineError, match="See BULKHEAD_DWG_CONVERTER"):
        convert_dwg(sandbox.run, "no-such-converter {source} {target}", dwg, work)


def test_given_paths_with_spaces_and_quotes_when_put_into_the_command_then_each_stays_one_argument() -> None:
    program = shutil.which("cp")
    command = build_command("cp -f -T {source} {target}", Path("/a b/c';rm.dwg"), Path("/t.dxf"))
    assert command == (program, "-f", "-T", "/a b/c';rm.dwg", "/t.dxf")
