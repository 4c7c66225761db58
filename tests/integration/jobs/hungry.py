"""An engine that needs as much memory as its drawing says, for workers started with the option
`-I tests.integration.jobs.hungry`. A drawing says it in a comment, such as `needs 700 MiB`.
"""

import re
from pathlib import Path
from typing import Any

from tasks.utils.units import MIB
from workers.render import render
from workers.render.sandboxed import body
from workers.runtime.worker_zygote import extend_zygote

_NEED = re.compile(rb"needs (\d+) MiB")


def comment(mebibytes: int) -> str:
    """The comment of a drawing that needs so much memory."""
    return f"needs {mebibytes} MiB"


def install() -> None:
    """Replace the engine of this zygote."""
    body.render = _render  # type: ignore[attr-defined]  # not a definition of that module


def _render(source: Path, *arguments: Any, **keywords: Any) -> Any:
    need = _NEED.search(source.read_bytes())
    held = b"\xff" * (int(need[1]) * MIB if need else 0)
    result = render(source, *arguments, **keywords)
    del held
    return result


extend_zygote(f"{__name__}:install")
