"""Looking at processes."""

import time

import psutil


def is_gone(process: psutil.Process, seconds: float = 2) -> bool:
    """Whether a process has ended by then; one that init has not collected yet has ended, too."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False
