"""A job that holds memory until it is killed, for both sides of `benchmarks.recovery`.

It says through a pipe where it is, one line a word: when (monotonic clock, seconds), its process, and what it does.
"""

import os
import threading
import time
from functools import cache
from pathlib import Path

from celery.signals import worker_before_create_process, worker_init, worker_process_init

# How a worker learns where to write, and what the drill is.
PIPE = "BENCHMARK_PIPE"
SEEN_DIRECTORY = "BENCHMARK_SEEN"
HELD_BYTES = 300 * 1024**2

# As many as native libraries start: a process is gone when the last of its threads is.
THREADS = 4

_forked_at = 0.0


@worker_before_create_process.connect
def record_fork_time(**_signal: object) -> None:
    """In the parent, just before a fork."""
    global _forked_at
    _forked_at = time.monotonic()


@worker_init.connect
def connect_ready_signal(**_signal: object) -> None:
    """In the parent, which has loaded its tasks: what they connected comes first."""
    worker_process_init.connect(report_ready)


def report_ready(**_signal: object) -> None:
    """In the child: it is about to ask for work."""
    write_event(f"ready {time.monotonic() - _forked_at:.6f}")


def hold(name: str) -> None:
    """The first time, hold memory until somebody ends it; the second time, do nothing."""
    write_event(f"begun {name}")
    marker = Path(os.environ[SEEN_DIRECTORY]) / name
    if marker.exists():
        return
    marker.touch()
    held = bytearray(HELD_BYTES)
    held[::4096] = b"x" * len(held[::4096])
    for _ in range(THREADS):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    write_event("holding")
    time.sleep(60)


def nap(seconds: float) -> None:
    """A job that takes so long."""
    write_event("begun nap")
    time.sleep(seconds)
    write_event("ended nap")


def write_event(event: str) -> None:
    """Write a line, whole."""
    os.write(_pipe(), f"{time.monotonic():.6f} {os.getpid()} {event}\n".encode())


@cache
def _pipe() -> int:
    return os.open(os.environ[PIPE], os.O_WRONLY)
