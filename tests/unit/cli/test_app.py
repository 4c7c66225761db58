"""The command line as a whole: help, version, and errors in one place."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from cli import app as bulkhead
from cli.errors import describe_error
from tasks.errors import Conflict, InvalidInput, JobFailed, NotFound, ServiceUnavailable
from tasks.settings import Settings

ROOT = Path(bulkhead.__file__).parents[1]

PRINT_MODULES = """
import sys
from typer.testing import CliRunner
from cli import app as bulkhead
result = CliRunner().invoke(bulkhead.app, ["--help"])
assert result.exit_code == 0, result.output
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def command_line(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        env={**os.environ, **environment},
    )


def test_when_help_is_requested_then_every_command_is_listed_with_its_summary() -> None:
    output = " ".join(CliRunner().invoke(bulkhead.app, ["--help"]).output.split())
    for name, entry in bulkhead.COMMANDS.items():
        assert name in output
        assert entry.summary in output
    assert "Exit codes: 0 done, 1 the job failed, 2 bad usage or input, 3 a service is missing." in output


def test_when_help_is_requested_then_nothing_heavy_is_imported() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", PRINT_MODULES], check=True, capture_output=True, text=True, timeout=60, cwd=ROOT
    ).stdout.split()
    assert not {"celery", "sqlalchemy", "pydantic", "tasks", "workers", "cli.embedded", "numpy", "ezdxf"} & set(loaded)


@pytest.mark.parametrize("name", bulkhead.COMMANDS)
def test_given_a_command_when_its_help_is_requested_then_it_is_described(name: str) -> None:
    result = CliRunner().invoke(bulkhead.app, [name, "--help"])
    assert result.exit_code == 0
    assert f"{name} " in result.output
    assert (bulkhead.load_command(name).help or "").strip().endswith((".", "dark", "--json"))


def test_given_a_misspelt_command_then_the_right_one_is_suggested() -> None:
    result = command_line("rendr")
    assert result.returncode == 2
    assert "Did you mean 'render'?" in result.stderr


def test_given_an_invalid_setting_then_its_variable_is_named_without_its_value(tmp_path: Path) -> None:
    blueprint = tmp_path / "a.dxf"
    blueprint.write_text("0\nEOF\n")
    result = command_line("plan", str(blueprint), BULKHEAD_PORT="hunter2")
    assert result.returncode == 2
    assert result.stderr == (
        "A setting is wrong. BULKHEAD_PORT: Input should be a valid integer, unable to parse string as an integer. "
        "Correct the environment or var/bulkhead.env.\n"
    )


@pytest.mark.parametrize(
    ("kind", "code"), [(JobFailed, 1), (InvalidInput, 2), (NotFound, 2), (Conflict, 2), (ServiceUnavailable, 3)]
)
def test_given_a_known_error_then_its_message_is_printed_and_its_exit_code_returned(kind: Any, code: int) -> None:
    assert describe_error(kind("It broke. Mend it.")) == ("It broke. Mend it.", code)


def test_given_an_unusable_file_then_its_path_and_the_reason_are_printed() -> None:
    assert describe_error(PermissionError(13, "Permission denied", "/out")) == (
        "/out: Permission denied. Check the path and its permissions.",
        2,
    )


def test_given_a_bug_then_the_message_says_how_to_get_a_traceback() -> None:
    assert describe_error(KeyError("x")) == (
        "An unexpected error occurred (KeyError: 'x'). Repeat the command with --debug to see where.",
        1,
    )


def test_given_several_invalid_settings_then_all_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULKHEAD_PORT", "0")
    monkeypatch.setenv("BULKHEAD_MAX_CRASHES", "none")
    with pytest.raises(ValidationError) as caught:
        Settings()
    message, _code = describe_error(caught.value)
    assert "BULKHEAD_PORT: " in message
    assert "BULKHEAD_MAX_CRASHES: " in message
