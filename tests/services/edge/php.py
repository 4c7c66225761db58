"""Runs PHP scripts that use the PHP client as a portal does."""

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cli.embedded.process import find_program

ROOT = Path(__file__).resolve().parents[3]
BRIDGE = ROOT / "bridge/php"
SCRIPTS = Path(__file__).resolve().parent / "portal"

INSTEAD = "skip the tests of the PHP client"


def find_php() -> str:
    """Path of PHP. Raises NotInstalled."""
    return find_program("php", "php-cli", INSTEAD)


def start_script(script: str, *arguments: str) -> "subprocess.Popen[str]":
    """Start a script of `tests/services/edge/portal`, which reads and writes JSON lines. Raises NotInstalled."""
    return subprocess.Popen(
        [find_php(), str(SCRIPTS / script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def run_script(
    script: str, *arguments: str, requests: Iterable[Mapping[str, Any]] = (), timeout: float = 60
) -> list[Any]:
    """Run a script of `tests/services/edge/portal`; returns the value of each output line. Raises NotInstalled."""
    process = start_script(script, *arguments)
    try:
        output, _ = process.communicate("".join(f"{json.dumps(each)}\n" for each in requests), timeout)
    finally:
        process.kill()
    assert process.returncode == 0, output
    return [json.loads(line) for line in output.splitlines()]
