"""The roll of workers: asked of the broker every few seconds at most, however many look at it.

A call takes a second and a thread; the intake has few of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from tasks.messaging.connections import BROKER_ERRORS
from tasks.messaging.inspect_workers import Worker

TTL = 4.0  # seconds; the operator's page looks every 5 s


class WorkerStatsCache:
    """Workers as they answered lately. `call` blocks; `clock` gives monotonic seconds."""

    def __init__(self, inspect: Callable[[], list[Worker]], clock: Callable[[], float] = time.monotonic) -> None:
        self._inspect = inspect
        self._clock = clock
        self._lock = asyncio.Lock()
        self._workers: list[Worker] = []
        self._expires_at = float("-inf")

    async def get(self, run_blocking: Callable[[Callable[[], list[Worker]]], Awaitable[list[Worker]]]) -> list[Worker]:
        """Those that answer, none while the broker is away; `run` runs a blocking call in a thread."""
        async with self._lock:
            if self._clock() >= self._expires_at:
                try:
                    self._workers = await run_blocking(self._inspect)
                except BROKER_ERRORS:
                    self._workers = []
                self._expires_at = self._clock() + TTL
            return self._workers
