"""A render engine with the fault that a drawing names: a memory bomb, a crash, a hang, thrashing, CPU load, idling, or
a full disk.

Loaded together with the tasks of a real worker (`celery worker --include faulty_engine`, with this directory in
PYTHONPATH). The worker's zygote installs it, so it acts in the sandbox only.

A comment in the drawing, such as `fault(bomb, 40)`, names the fault and the percentage at which it starts.
"""

import os
import random
import re
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workers.render import render
from workers.render.sandboxed import body
from workers.runtime.worker_zygote import extend_zygote
from workers.sandbox.process_stats import resident_memory

BOMB, CRASH, HANG, THRASH, WORK, REST, FILL = "bomb", "crash", "hang", "thrash", "work", "rest", "fill"

_FAULT = re.compile(rb"fault\((\w+), (\d+)\)")

# Bytes of a block. A bomb allocates one at a time. Thrashing fills memory up to FULL and reads READ blocks from a file.
BLOCK = 16 * 1024**2
FULL = 464 * 1024**2
READ = 16

# Bytes of a page, pages that are read between two progress reports, and seconds between two reports.
PAGE = 4096
PAGES = 500
REPORT_INTERVAL = 0.2


def svg_with_fault(svg: bytes, kind: str, percent: int) -> bytes:
    """The SVG with a comment that names the fault."""
    return svg.replace(b">", f"><!-- fault({kind}, {percent}) -->".encode(), 1)


def install() -> None:
    """Replace the engine of this zygote."""

    def faulty_render(
        source: Path, out: Path, options: Any, *, progress: Callable[[Any], None], **keywords: Any
    ) -> Any:
        fault = _FAULT.search(source.read_bytes())
        if fault is None:
            return render(source, out, options, progress=progress, **keywords)

        def act(step: Any) -> None:
            progress(step)
            if step.percent >= int(fault[2]):
                FAULTS[fault[1].decode()](lambda: progress(step))

        return render(source, out, options, progress=act, **keywords)

    body.render = faulty_render  # type: ignore[attr-defined, assignment]


def _explode(_report: Callable[[], None]) -> None:
    blocks = []
    while True:
        blocks.append(bytearray(b"\xff") * BLOCK)  # touched, so that the kernel counts it


def _crash(_report: Callable[[], None]) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _hang(_report: Callable[[], None]) -> None:
    time.sleep(3600)


def _idle(report: Callable[[], None]) -> None:
    while True:
        time.sleep(REPORT_INTERVAL)
        report()


def _burn_cpu(report: Callable[[], None]) -> None:
    while True:
        until = time.monotonic() + REPORT_INTERVAL
        while time.monotonic() < until:
            pass
        report()


def _thrash(report: Callable[[], None]) -> None:
    """Fill the memory, then read random pages of a file that does not fit: each evicts another one."""
    blocks = []
    while resident_memory() < FULL:
        blocks.append(bytearray(b"\xff") * BLOCK)
    with tempfile.TemporaryFile() as file:
        for _ in range(READ):
            file.write(os.urandom(BLOCK))
        file.flush()
        offsets = range(0, READ * BLOCK, PAGE)
        while True:
            for offset in random.sample(offsets, PAGES):
                os.pread(file.fileno(), PAGE, offset)
            report()


def _fill_disk(_report: Callable[[], None]) -> None:
    number = 0
    while True:
        Path(tempfile.gettempdir(), str(number)).write_bytes(b"\xff" * BLOCK)
        number += 1


FAULTS: Mapping[str, Callable[[Callable[[], None]], None]] = {
    BOMB: _explode,
    CRASH: _crash,
    HANG: _hang,
    THRASH: _thrash,
    WORK: _burn_cpu,
    REST: _idle,
    FILL: _fill_disk,
}

extend_zygote(f"{__name__}:install")
