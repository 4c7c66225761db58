"""Whether to take one more render: from the depth of its lane, looked at once a second at most.

Between two looks the gate counts what it let in itself. A lane that is full says nothing about the others. A broker
that does not answer closes the gate until the next look, so that a burst of requests does not queue up behind it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import anyio

from tasks.messaging.connections import BrokerUnavailable
from tasks.messaging.topology import LANES, RENDER, TILES
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


@dataclass
class Depth:
    """Messages that waited in a lane at the last look, those let in since, and how many leave a second."""

    waiting: int = 0
    added: int = 0
    rate: float = 0.0

    @property
    def total(self) -> int:
        return self.waiting + self.added


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
        self._depths = {lane: Depth() for lane in LANES}

    @property
    def waiting(self) -> Mapping[str, int]:
        """Messages in each lane at the last look."""
        return {lane: depth.waiting for lane, depth in self._depths.items()}

    async def admit(self) -> None:
        """Let one render come whose lane is not known before it is read. Raises BrokerUnavailable, or a 429 problem
        with Retry-After if there is room neither for previews nor for tiles.
        """
        await self.look()
        if self._is_full(RENDER) and self._is_full(TILES):
            raise self.full(RENDER)

    def enter(self, lane: str) -> None:
        """Let one render into its lane. Raises a 429 problem with Retry-After."""
        if self._is_full(lane):
            raise self.full(lane)

    def admitted(self, lane: str) -> None:
        """A render went into the lane."""
        self._depths[lane].added += 1

    def full(self, lane: str) -> Problem:
        """The answer while the lane is full."""
        depth = self._depths[lane]
        seconds = retry_after(depth.total, self._limit, depth.rate)
        detail = f"{depth.total} renders are waiting in '{lane}' already: try again in {seconds} s."
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
        if age > STALE or self._broken_at > self._looked_at or any(map(self._is_full, LANES)):
            await asyncio.shield(self._looking)
            self.check()

    def _is_full(self, lane: str) -> bool:
        return self._depths[lane].total >= self._limit

    async def _look(self) -> None:
        try:
            counted = await anyio.to_thread.run_sync(self._count_all, limiter=self._thread)
        except BrokerUnavailable:
            self.broken()
            return
        now = self._clock()
        seconds = max(now - self._looked_at, 1e-3)
        for lane, waiting in counted.items():
            depth = self._depths[lane]
            if seconds <= STALE:
                depth.rate = drain_rate(depth.rate, was=depth.waiting, added=depth.added, now=waiting, seconds=seconds)
            depth.waiting, depth.added = waiting, 0
        self._looked_at = now

    def _count_all(self) -> dict[str, int]:
        return {lane: self._count(lane) for lane in LANES}
