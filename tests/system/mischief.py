"""A render engine that does what its drawing says: explode, or hang. Loaded beside the tasks of a real worker
(`celery worker --include mischief`, with this directory in PYTHONPATH), it acts in the rendering child only.

A drawing says it with a comment, `mischief(bomb, 40)`: which kind, and from which percent of the render on.
"""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery.signals import worker_process_init

from workers.blueprint import render, task

BOMB, HANG = "bomb", "hang"

_SAID = re.compile(rb"mischief\((bomb|hang), (\d+)\)")

# Bytes that a bomb takes at a time.
PIECE = 16 * 1024**2


def svg_saying(svg: bytes, kind: str, percent: int) -> bytes:
    """The SVG, which also says what to do to the engine."""
    return svg.replace(b">", f"><!-- mischief({kind}, {percent}) -->".encode(), 1)


@worker_process_init.connect
def install(**_signal: Any) -> None:
    """Put the mischief around the engine of this child."""

    def mischievous(source: Path, out: Path, options: Any, progress: Callable[[Any], None]) -> Any:
        said = _SAID.search(source.read_bytes())
        if said is None:
            return render(source, out, options, progress=progress)

        def act(step: Any) -> None:
            progress(step)
            if step.percent >= int(said[2]):
                _explode() if said[1].decode() == BOMB else time.sleep(3600)

        return render(source, out, options, progress=act)

    task.render = mischievous  # type: ignore[attr-defined, assignment]


def _explode() -> None:
    taken = []
    while True:
        taken.append(bytearray(b"\xff") * PIECE)  # written to, or the kernel would not count it
