"""Helpers to inspect processes."""

import os
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


def zygote_of(worker: int) -> psutil.Process:
    """The zygote of the worker whose Celery parent has the process id `worker`. Raises LookupError."""
    for child in psutil.Process(worker).children():
        with suppress(psutil.NoSuchProcess):
            if "workers.sandbox.zygote.process" in child.cmdline():
                return child
    raise LookupError(f"worker {worker} has no zygote")


def trusted_child_of(worker: int) -> psutil.Process:
    """The only prefork child of the worker."""
    (child,) = (one for one in psutil.Process(worker).children() if one.pid != zygote_of(worker).pid)
    return child


def sandboxed_of(worker: int) -> list[psutil.Process]:
    """The processes of the worker's zygote that run a request; its spare, which has no session of its own, is none."""
    found = []
    for child in zygote_of(worker).children():
        with suppress(ProcessLookupError):
            if os.getsid(child.pid) == child.pid:
                found.append(child)
    return found
