"""A cache of the workers' statistics, so that they are inspected at most once in a few seconds.

An inspection takes a second and occupies one of the few threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from tasks.messaging.connections import BROKER_ERRORS
from tasks.messaging.inspect_workers import Worker

TTL = 4.0  # seconds; the operations page polls every 5 s


class WorkerStatsCache:
    """Workers of the last inspection. `inspect` blocks; `clock` returns monotonic seconds."""

    def __init__(self, inspect: Callable[[], list[Worker]], clock: Callable[[], float] = time.monotonic) -> None:
        self._inspect = inspect
        self._clock = clock
        self._lock = asyncio.Lock()
        self._workers: list[Worker] = []
        self._expires_at = float("-inf")

    async def get(self, run_blocking: Callable[[Callable[[], list[Worker]]], Awaitable[list[Worker]]]) -> list[Worker]:
        """Workers that reply; none while the broker is unavailable. `run_blocking` runs a call in a thread."""
        async with self._lock:
            if self._clock() >= self._expires_at:
                try:
                    self._workers = await run_blocking(self._inspect)
                except BROKER_ERRORS:
                    self._workers = []
                self._expires_at = self._clock() + TTL
            return self._workers
