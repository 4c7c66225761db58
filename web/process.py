"""One of the processes that serve: `create()` makes its application, for uvicorn (`--factory`)."""

from __future__ import annotations

import gc
import multiprocessing
import sys

from fastapi import FastAPI

from tasks.utils.parent_death import die_with_parent
from web.app import create_app

# Seconds after which a busy thread hands the interpreter on. A drawing's thread gives it up at every write and has to
# win it back: at Python's 5 ms, from a loop that serves those who look on, that doubles the time of an answer.
SWITCH_INTERVAL = 0.0005

# Collections of each generation before one of the next (Python: 700, 10, 10). A full one goes through all that hundreds
# of event streams hold, some 25 ms in which nobody is answered; what requests leave behind is found by the others.
GC_THRESHOLDS = (700, 10, 100)


def create() -> FastAPI:
    """The application. Where several processes serve, none outlives the one that started them."""
    if multiprocessing.parent_process():
        die_with_parent()
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.set_threshold(*GC_THRESHOLDS)
    return create_app()
