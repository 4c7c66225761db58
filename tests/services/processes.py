"""Helpers to inspect processes."""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress

import psutil


def is_gone(process: psutil.Process, seconds: float = 2) -> bool:
    """Wait until the process has ended or is a zombie. Returns False after the timeout."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


def alive(processes: Iterable[psutil.Process]) -> Iterator[tuple[str, list[str]]]:
    """Name and arguments of the processes that still run: helpers of RabbitMQ may have ended meanwhile."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            yield process.name(), process.cmdline()
