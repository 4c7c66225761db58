"""A job that holds memory until it is killed, for both workers of `benchmarks.recovery`.

It writes events to a pipe, one per line: the time (monotonic clock, seconds), its process id, and the event.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from celery.signals import worker_before_create_process, worker_init, worker_process_init

# Environment variables of a worker: the pipe, and a directory that records which jobs have run before.
PIPE = "BENCHMARK_PIPE"
SEEN_DIRECTORY = "BENCHMARK_SEEN"
HELD_BYTES = 300 * 1024**2

# As many as native libraries start. A process is gone when the last of its threads is.
THREADS = 4

_forked_at = 0.0
_held: list[bytearray] = []


@worker_before_create_process.connect
def record_fork_time(**_signal: object) -> None:
    """Called in the parent just before a fork."""
    global _forked_at
    _forked_at = time.monotonic()


@worker_init.connect
def connect_ready_signal(**_signal: object) -> None:
    """Called in the parent after it has loaded its tasks, so that their signal handlers run before ours."""
    worker_process_init.connect(report_ready)


def report_ready(**_signal: object) -> None:
    """Called in the child just before it accepts work."""
    write_event(event_line(f"ready {time.monotonic() - _forked_at:.6f}"))


def hold(name: str) -> None:
    """Hold memory until killed at the first attempt of a job; do nothing at the second."""
    write_event(event_line(f"started {name}"))
    if is_first_attempt(name):
        occupy_memory()
        write_event(event_line("holding"))
        time.sleep(60)


def hold_in_sandbox(arguments: Mapping[str, Any], report: Callable[[Mapping[str, Any]], None]) -> None:
    """The same in the sandbox, which cannot write to the pipe: each stage of its progress is an event."""
    report({"percent": 0, "stage": event_line(f"started {arguments['name']}")})
    if arguments["is_first_attempt"]:
        occupy_memory()
        report({"percent": 1, "stage": event_line("holding")})
        time.sleep(60)


def is_first_attempt(name: str) -> bool:
    """Whether a job runs for the first time. Records that it did."""
    marker = Path(os.environ[SEEN_DIRECTORY]) / name
    is_first = not marker.exists()
    marker.touch()
    return is_first


def occupy_memory() -> None:
    """Allocate memory and start threads that last as long as this process."""
    _held.append(bytearray(HELD_BYTES))
    _held[-1][::4096] = b"x" * len(_held[-1][::4096])
    for _ in range(THREADS):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


def nap(seconds: float) -> None:
    """A job that takes `seconds`."""
    write_event(event_line("started nap"))
    time.sleep(seconds)
    write_event(event_line("ended nap"))


def event_line(event: str) -> str:
    """An event of this process, now."""
    return f"{time.monotonic():.6f} {os.getpid()} {event}"


def write_event(line: str) -> None:
    """Write an event as one line."""
    os.write(_pipe(), f"{line}\n".encode())


@cache
def _pipe() -> int:
    return os.open(os.environ[PIPE], os.O_WRONLY)
