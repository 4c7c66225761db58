"""Code with faults that runs in the sandbox. The zygote loads it before a process is confined."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from workers.render import native
from workers.render.sandboxed.residue import Residue, sample

MIB = 1024**2

# Bytes of one allocation of a bomb, and seconds between two allocations.
BLOCK = 4 * MIB
INTERVAL = 0.01

Report = Callable[[Mapping[str, Any]], None]


def explode(_arguments: Mapping[str, Any], report: Report) -> None:
    """Allocate memory until the process is killed."""
    report({"percent": 60, "stage": "encode", "layer": "PIPES"})
    blocks = []
    while True:
        blocks.append(bytearray(b"x") * BLOCK)
        time.sleep(INTERVAL)


def crash(_arguments: Mapping[str, Any], _report: Report) -> None:
    """Crash like native code."""
    os.kill(os.getpid(), signal.SIGSEGV)


def paint(arguments: Mapping[str, Any], _report: Report) -> dict[str, Any]:
    """Draw a picture of `side` x `side` pixels of 8 bytes. If it `leaks`, its clone is never destroyed."""
    native.prepare()
    residue = Residue()
    _paint(arguments["side"], leaks=arguments["leaks"])
    return residue.facts()


def sample_paint(arguments: Mapping[str, Any], _report: Report) -> dict[str, Any]:
    """Draw such a picture repeatedly, like `workers.render.sandboxed.body.sample_body`."""
    native.prepare()
    return sample(lambda: _paint(arguments["side"], leaks=arguments["leaks"]), arguments["capture"])


def _paint(side: int, *, leaks: bool) -> None:
    """Draw, clone, change, shrink and encode a picture."""
    from wand.api import library
    from wand.image import Image

    with Image(width=side, height=side, background="white") as picture:
        clone = library.CloneMagickWand(picture.wand)
        picture.evaluate("multiply", 0.5)  # both share their pixels until one is changed
        picture.sample(64, 64)
        picture.make_blob("png")
        if not leaks:
            library.DestroyMagickWand(clone)
