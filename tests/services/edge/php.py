"""PHP scripts that use the bridge as a portal does."""

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cli.embedded.process import find_program

ROOT = Path(__file__).resolve().parents[3]
BRIDGE = ROOT / "bridge/php"
SCRIPTS = Path(__file__).resolve().parent / "portal"

INSTEAD = "leave the tests of the PHP bridge out"


def php() -> str:
    """PHP's program. Raises NotInstalled."""
    return find_program("php", "php-cli", INSTEAD)


def start(script: str, *arguments: str) -> "subprocess.Popen[str]":
    """Start a script of `tests/services/edge/portal`, which reads and writes lines of JSON. Raises NotInstalled."""
    return subprocess.Popen(
        [php(), str(SCRIPTS / script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def run(script: str, *arguments: str, say: Iterable[Mapping[str, Any]] = (), timeout: float = 60) -> list[Any]:
    """What a script of `tests/services/edge/portal` answers, a value a line. Raises NotInstalled."""
    process = start(script, *arguments)
    try:
        answered, _ = process.communicate("".join(f"{json.dumps(each)}\n" for each in say), timeout)
    finally:
        process.kill()
    assert process.returncode == 0, answered
    return [json.loads(line) for line in answered.splitlines()]
