"""Whether to take one more render: from the depth of the queue, looked at once a second at most.

Between two looks the gate counts what it let in itself. A broker that does not answer closes the gate until the next
look, so that a burst of requests does not queue up behind it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

import anyio

from tasks.broker import BrokerUnavailable
from tasks.topology import RENDER
from web.problems import Problem

INTERVAL = 1.0  # seconds between two looks at the queue
STALE = 5.0  # seconds after which a depth says nothing any more
SMOOTHING = 0.3  # weight of the newest drain rate
HEADROOM = 0.1  # part of the limit that should be free before a refused client comes back
UNKNOWN_WAIT = 10  # seconds to wait while the drain rate is unknown
LONGEST_WAIT = 300  # seconds


def retry_after(waiting: int, limit: int, drained_per_second: float) -> int:
    """Seconds until a full queue will have room again, 1 to 300, at the rate at which it drains now."""
    if drained_per_second <= 0:
        return UNKNOWN_WAIT
    excess = waiting - limit * (1 - HEADROOM)
    return min(LONGEST_WAIT, max(1, math.ceil(excess / drained_per_second)))


def drain_rate(before: float, *, was: int, added: int, now: int, seconds: float) -> float:
    """Messages a second that leave the queue, smoothed over the former rate `before`."""
    newest = max(0, was + added - now) / seconds
    return newest if before == 0 else SMOOTHING * newest + (1 - SMOOTHING) * before


class Gate:
    """Counts with `count(queue)`, which blocks and raises BrokerUnavailable, in a thread of its own."""

    def __init__(self, count: Callable[[str], int], limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._limit = limit
        self._clock = clock
        self._thread = anyio.CapacityLimiter(1)
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = -math.inf
        self._broken_at = -math.inf
        self._added = 0
        self._rate = 0.0
        self.waiting = 0

    async def admit(self) -> None:
        """Let one render in. Raises BrokerUnavailable, or a 429 problem with Retry-After."""
        await self.look()
        if self._is_full():
            raise self.full()

    def admitted(self) -> None:
        """A render went into the queue."""
        self._added += 1

    def full(self) -> Problem:
        """The answer while the queue is full."""
        seconds = retry_after(self.waiting + self._added, self._limit, self._rate)
        detail = f"{self.waiting + self._added} renders are waiting already: try again in {seconds} s."
        return Problem(429, "queue-full", detail, headers={"retry-after": str(seconds)})

    def broken(self) -> None:
        """The broker did not answer."""
        self._broken_at = self._clock()

    def check(self) -> None:
        """Raise BrokerUnavailable if the broker did not answer a moment ago."""
        if self._clock() - self._broken_at < INTERVAL:
            raise BrokerUnavailable

    async def look(self) -> None:
        """Have a depth that is not stale; raises BrokerUnavailable. One look at a time, shared by all callers."""
        self.check()
        age = self._clock() - self._looked_at
        if age < INTERVAL:
            return
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        if age > STALE or self._broken_at > self._looked_at or self._is_full():
            await asyncio.shield(self._looking)
            self.check()

    def _is_full(self) -> bool:
        return self.waiting + self._added >= self._limit

    async def _look(self) -> None:
        try:
            waiting = await anyio.to_thread.run_sync(self._count, RENDER, limiter=self._thread)
        except BrokerUnavailable:
            self.broken()
            return
        now = self._clock()
        if now - self._looked_at <= STALE:
            self._rate = drain_rate(
                self._rate, was=self.waiting, added=self._added, now=waiting, seconds=max(now - self._looked_at, 1e-3)
            )
        self._looked_at, self.waiting, self._added = now, waiting, 0
