"""A render engine with the fault that a drawing names: a memory bomb, a crash, a hang, thrashing, CPU load, or idling.

Loaded together with the tasks of a real worker (`celery worker --include faulty_engine`, with this directory in
PYTHONPATH); it acts in worker children only.

A comment in the drawing, such as `fault(bomb, 40)`, names the fault and the percentage at which it starts.
"""

import mmap
import os
import random
import re
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from celery.signals import worker_process_init

from tasks.settings import settings
from workers.render import render, task
from workers.sandbox.cgroup import read_memory

BOMB, CRASH, HANG, THRASH, WORK, REST = "bomb", "crash", "hang", "thrash", "work", "rest"

_FAULT = re.compile(rb"fault\((\w+), (\d+)\)")

# Bytes of a block. A bomb allocates one at a time. Thrashing leaves FREE blocks below the memory limit and reads READ
# blocks from a file.
BLOCK = 16 * 1024**2
FREE = 3
READ = 16

# Pages that are read between two progress reports, and seconds between two reports.
PAGES = 500
REPORT_INTERVAL = 0.2


def svg_with_fault(svg: bytes, kind: str, percent: int) -> bytes:
    """The SVG with a comment that names the fault."""
    return svg.replace(b">", f"><!-- fault({kind}, {percent}) -->".encode(), 1)


@worker_process_init.connect
def install(**_signal: Any) -> None:
    """Reoffset the engine of this child."""

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

    task.render = faulty_render  # type: ignore[attr-defined, assignment]


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
    """Fill the memory up to its limit, then read random pages of a file that does not fit: each evicts another one."""
    blocks = []
    while (
        (cgroup := read_memory()).current is not None
        and cgroup.limit is not None
        and cgroup.current < cgroup.limit - FREE * BLOCK
    ):
        blocks.append(bytearray(b"\xff") * BLOCK)
    with tempfile.TemporaryFile(dir=settings().var) as file:
        for _ in range(READ):
            file.write(os.urandom(BLOCK))
        file.flush()
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as pages:
            offsets = range(0, len(pages), mmap.PAGESIZE)
            while True:
                for offset in random.sample(offsets, PAGES):
                    pages[offset]
                report()


FAULTS: Mapping[str, Callable[[Callable[[], None]], None]] = {
    BOMB: _explode,
    CRASH: _crash,
    HANG: _hang,
    THRASH: _thrash,
    WORK: _burn_cpu,
    REST: _idle,
}
