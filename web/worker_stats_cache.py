"""The roll of workers: asked of the broker every few seconds at most, however many look at it.

A call takes a second and a thread; the intake has few of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from tasks.messaging.connections import BROKER_ERRORS
from tasks.messaging.inspect_workers import Worker

KEPT = 4.0  # seconds; the operator's page looks every 5 s


class Roll:
    """Workers as they answered lately. `call` blocks; `clock` gives monotonic seconds."""

    def __init__(self, call: Callable[[], list[Worker]], clock: Callable[[], float] = time.monotonic) -> None:
        self._call = call
        self._clock = clock
        self._lock = asyncio.Lock()
        self._workers: list[Worker] = []
        self._good_until = float("-inf")

    async def workers(self, run: Callable[[Callable[[], list[Worker]]], Awaitable[list[Worker]]]) -> list[Worker]:
        """Those that answer, none while the broker is away; `run` runs a blocking call in a thread."""
        async with self._lock:
            if self._clock() >= self._good_until:
                try:
                    self._workers = await run(self._call)
                except BROKER_ERRORS:
                    self._workers = []
                self._good_until = self._clock() + KEPT
            return self._workers
