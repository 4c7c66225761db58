"""A render engine that does what its drawing says: explode, crash, hang, thrash, work, or rest.

Loaded beside the tasks of a real worker (`celery worker --include faulty_engine`, with this directory in PYTHONPATH), it
acts in the rendering child only.

A drawing says it with a comment, `mischief(bomb, 40)`: which kind, and from which percent of the render on.
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

_SAID = re.compile(rb"mischief\((\w+), (\d+)\)")

# Bytes that a bomb takes at a time. One that thrashes leaves so many of them free inside its fence, and reads so many
# from a file.
PIECE = 16 * 1024**2
FREE = 3
READ = 16

# Pages that are read between two signs of life, and seconds of rest.
PAGES = 500
PAUSE = 0.2


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
                ACTS[said[1].decode()](lambda: progress(step))

        return render(source, out, options, progress=act)

    task.render = mischievous  # type: ignore[attr-defined, assignment]


def _explode(_beat: Callable[[], None]) -> None:
    taken = []
    while True:
        taken.append(bytearray(b"\xff") * PIECE)  # written to, or the kernel would not count it


def _crash(_beat: Callable[[], None]) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _hang(_beat: Callable[[], None]) -> None:
    time.sleep(3600)


def _rest(beat: Callable[[], None]) -> None:
    while True:
        time.sleep(PAUSE)
        beat()


def _work(beat: Callable[[], None]) -> None:
    while True:
        until = time.monotonic() + PAUSE
        while time.monotonic() < until:
            pass
        beat()


def _thrash(beat: Callable[[], None]) -> None:
    """Fill the fence, then read pages at random of what does not fit into the rest: for each another one must go."""
    taken = []
    while (
        (now := read_memory()).current is not None and now.limit is not None and now.current < now.limit - FREE * PIECE
    ):
        taken.append(bytearray(b"\xff") * PIECE)
    with tempfile.TemporaryFile(dir=settings().var) as file:
        for _ in range(READ):
            file.write(os.urandom(PIECE))
        file.flush()
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as pages:
            places = range(0, len(pages), mmap.PAGESIZE)
            while True:
                for place in random.sample(places, PAGES):
                    pages[place]
                beat()


ACTS: Mapping[str, Callable[[Callable[[], None]], None]] = {
    BOMB: _explode,
    CRASH: _crash,
    HANG: _hang,
    THRASH: _thrash,
    WORK: _work,
    REST: _rest,
}
