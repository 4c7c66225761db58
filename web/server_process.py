"""One server process: `create()` returns its application, for uvicorn (`--factory`)."""

from __future__ import annotations

import gc
import multiprocessing
import sys

from fastapi import FastAPI

from tasks.utils.parent_death import die_with_parent
from web.app import create_app

# Interpreter switch interval (s). An upload's thread releases the GIL at every write and must reacquire it from the
# event loop; Python's default of 5 ms doubles response latency while viewers are connected.
SWITCH_INTERVAL = 0.0005

# Garbage collection thresholds (Python's default: 700, 10, 10). A full collection traverses the objects of hundreds of
# event streams and blocks every response for about 25 ms; the younger generations collect what requests leave behind.
GC_THRESHOLDS = (700, 10, 100)


def create() -> FastAPI:
    """Create the application. A child of a multi-process server exits when its parent dies."""
    if multiprocessing.parent_process():
        die_with_parent()
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.set_threshold(*GC_THRESHOLDS)
    return create_app()
