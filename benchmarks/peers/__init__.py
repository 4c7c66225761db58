"""The same no-op through every queue. Each module is imported by a worker, and by the benchmark that fills its queue.

A worker writes one byte to a pipe for every no-op that it runs, so that all of them are counted in the same way.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

# Environment variables of a worker: its pipe and its broker.
TICKS = "BENCHMARK_TICKS"
BROKER_URL = "BENCHMARK_BROKER_URL"
REDIS_URL = "REDIS_URL"  # as RQ's worker expects it


@dataclass(frozen=True, slots=True)
class Peer:
    """A queue and the worker that serves it.

    `command` follows the interpreter on the worker's command line; `fill` publishes no-ops, with confirms if the broker
    supports them; `clear` deletes the remaining ones.
    """

    name: str
    command: tuple[str, ...]
    fill: Callable[[int], None]
    clear: Callable[[], None]


def tick() -> None:
    """The no-op: write one byte to the pipe."""
    os.write(_pipe(), b".")


@cache
def _pipe() -> int:
    return os.open(os.environ[TICKS], os.O_WRONLY)
