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
from tasks.messaging.topology import RENDER, RENDER_QUEUES, TILES
from web.problems import Problem

REFRESH_INTERVAL = 1.0  # seconds between two looks at the queue
MAX_DEPTH_AGE = 5.0  # seconds after which a depth says nothing any more
SMOOTHING = 0.3  # weight of the newest drain rate
HEADROOM = 0.1  # part of the limit that should be free before a refused client comes back
DEFAULT_RETRY_AFTER = 10  # seconds to wait while the drain rate is unknown
MAX_RETRY_AFTER = 300  # seconds


def retry_after(waiting: int, limit: int, drained_per_second: float) -> int:
    """Seconds until a full queue will have room again, 1 to 300, at the rate at which it drains now."""
    if drained_per_second <= 0:
        return DEFAULT_RETRY_AFTER
    excess = waiting - limit * (1 - HEADROOM)
    return min(MAX_RETRY_AFTER, max(1, math.ceil(excess / drained_per_second)))


def drain_rate(previous_rate: float, *, depth_before: int, admitted: int, depth_now: int, seconds: float) -> float:
    """Messages a second that leave the queue, smoothed over the former rate `before`."""
    newest = max(0, depth_before + admitted - depth_now) / seconds
    return newest if previous_rate == 0 else SMOOTHING * newest + (1 - SMOOTHING) * previous_rate


@dataclass
class QueueDepth:
    """Messages that waited in a lane at the last look, those let in since, and how many leave a second."""

    waiting: int = 0
    admitted: int = 0
    rate: float = 0.0

    @property
    def total(self) -> int:
        return self.waiting + self.admitted


class AdmissionController:
    """Counts with `count(queue)`, which blocks and raises BrokerUnavailable, in a thread of its own."""

    def __init__(self, count: Callable[[str], int], limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._limit = limit
        self._clock = clock
        self._thread = anyio.CapacityLimiter(1)
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed_at = -math.inf
        self._broker_failed_at = -math.inf
        self._depths = {lane: QueueDepth() for lane in RENDER_QUEUES}

    @property
    def waiting(self) -> Mapping[str, int]:
        """Messages in each lane at the last look."""
        return {lane: depth.waiting for lane, depth in self._depths.items()}

    async def check(self) -> None:
        """Let one render come whose lane is not known before it is read. Raises BrokerUnavailable, or a 429 problem
        with Retry-After if there is room neither for previews nor for tiles.
        """
        await self.refresh()
        if self._is_full(RENDER) and self._is_full(TILES):
            raise self.queue_full(RENDER)

    def check_queue(self, lane: str) -> None:
        """Let one render into its lane. Raises a 429 problem with Retry-After."""
        if self._is_full(lane):
            raise self.queue_full(lane)

    def record_admitted(self, lane: str) -> None:
        """A render went into the lane."""
        self._depths[lane].admitted += 1

    def queue_full(self, lane: str) -> Problem:
        """The answer while the lane is full."""
        depth = self._depths[lane]
        seconds = retry_after(depth.total, self._limit, depth.rate)
        detail = f"{depth.total} renders are waiting in '{lane}' already: try again in {seconds} s."
        return Problem(429, "queue-full", detail, headers={"retry-after": str(seconds)})

    def mark_broker_down(self) -> None:
        """The broker did not answer."""
        self._broker_failed_at = self._clock()

    def check_broker(self) -> None:
        """Raise BrokerUnavailable if the broker did not answer a moment ago."""
        if self._clock() - self._broker_failed_at < REFRESH_INTERVAL:
            raise BrokerUnavailable

    async def refresh(self) -> None:
        """Have a depth that is not stale; raises BrokerUnavailable. One look at a time, shared by all callers."""
        self.check_broker()
        age = self._clock() - self._refreshed_at
        if age < REFRESH_INTERVAL:
            return
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._count_queues())
        if age > MAX_DEPTH_AGE or self._broker_failed_at > self._refreshed_at or any(map(self._is_full, RENDER_QUEUES)):
            await asyncio.shield(self._refreshing)
            self.check_broker()

    def _is_full(self, lane: str) -> bool:
        return self._depths[lane].total >= self._limit

    async def _count_queues(self) -> None:
        try:
            counted = await anyio.to_thread.run_sync(self._count_all, limiter=self._thread)
        except BrokerUnavailable:
            self.mark_broker_down()
            return
        now = self._clock()
        seconds = max(now - self._refreshed_at, 1e-3)
        for lane, waiting in counted.items():
            depth = self._depths[lane]
            if seconds <= MAX_DEPTH_AGE:
                depth.rate = drain_rate(
                    depth.rate, depth_before=depth.waiting, admitted=depth.admitted, depth_now=waiting, seconds=seconds
                )
            depth.waiting, depth.admitted = waiting, 0
        self._refreshed_at = now

    def _count_all(self) -> dict[str, int]:
        return {lane: self._count(lane) for lane in RENDER_QUEUES}
