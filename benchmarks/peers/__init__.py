"""The same no-op through every queue: one module a peer, read by its worker and by the benchmark that fills its queue.

A worker writes one byte to a pipe for every no-op that it runs, so that all of them are counted in the same way.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

# How a worker learns where to write its bytes, and where its broker is.
TICKS = "BENCHMARK_TICKS"
BROKER_URL = "BENCHMARK_BROKER_URL"
REDIS_URL = "REDIS_URL"  # where RQ's own worker looks


@dataclass(frozen=True, slots=True)
class Peer:
    """A queue and the worker that serves it.

    `command` is what follows the interpreter on the worker's command line; `fill` publishes so many no-ops, each
    confirmed by its broker where that can be had; `clear` forgets those that are left.
    """

    name: str
    command: tuple[str, ...]
    fill: Callable[[int], None]
    clear: Callable[[], None]


def tick() -> None:
    """The no-op: count one."""
    os.write(_pipe(), b".")


@cache
def _pipe() -> int:
    return os.open(os.environ[TICKS], os.O_WRONLY)
