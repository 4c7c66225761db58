"""Admission control: whether a queue has room for one more render.

Queue depths are read from the broker at most once a second; in between, the controller counts the renders that it
admits. Each queue has its own limit. If the broker does not answer, requests are rejected until the next refresh, so
that a burst of requests does not pile up behind it.
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

REFRESH_INTERVAL = 1.0  # seconds between two reads of the queue depths
MAX_DEPTH_AGE = 5.0  # seconds after which a depth is too old to be used
SMOOTHING = 0.3  # weight of the latest drain rate
HEADROOM = 0.1  # share of the limit that should be free before a rejected client retries
DEFAULT_RETRY_AFTER = 10  # seconds, while the drain rate is unknown
MAX_RETRY_AFTER = 300  # seconds


def retry_after(waiting: int, limit: int, drained_per_second: float) -> int:
    """Seconds until a full queue has room again at its current drain rate, 1 to 300."""
    if drained_per_second <= 0:
        return DEFAULT_RETRY_AFTER
    excess = waiting - limit * (1 - HEADROOM)
    return min(MAX_RETRY_AFTER, max(1, math.ceil(excess / drained_per_second)))


def drain_rate(previous_rate: float, *, depth_before: int, admitted: int, depth_now: int, seconds: float) -> float:
    """Messages that leave the queue per second, smoothed with the previous rate."""
    newest = max(0, depth_before + admitted - depth_now) / seconds
    return newest if previous_rate == 0 else SMOOTHING * newest + (1 - SMOOTHING) * previous_rate


@dataclass
class QueueDepth:
    """Messages in a queue at the last refresh, messages admitted since, and the drain rate per second."""

    waiting: int = 0
    admitted: int = 0
    rate: float = 0.0

    @property
    def total(self) -> int:
        return self.waiting + self.admitted


class AdmissionController:
    """Admits renders by queue depth.

    `count(queue)` is called in a dedicated thread; it blocks and raises BrokerUnavailable.
    """

    def __init__(self, count: Callable[[str], int], limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._limit = limit
        self._clock = clock
        self._thread = anyio.CapacityLimiter(1)
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed_at = -math.inf
        self._broker_failed_at = -math.inf
        self._depths = {queue: QueueDepth() for queue in RENDER_QUEUES}

    @property
    def waiting(self) -> Mapping[str, int]:
        """Messages in each queue at the last refresh."""
        return {queue: depth.waiting for queue, depth in self._depths.items()}

    async def check(self) -> None:
        """Check that a render may be accepted before its queue is known.

        Raises BrokerUnavailable, or a 429 problem with Retry-After if neither queue for renders has room.
        """
        await self.refresh()
        if self._is_full(RENDER) and self._is_full(TILES):
            raise self.queue_full(RENDER)

    def check_queue(self, queue: str) -> None:
        """Check that the queue has room. Raises a 429 problem with Retry-After."""
        if self._is_full(queue):
            raise self.queue_full(queue)

    def record_admitted(self, queue: str) -> None:
        """Count a render that was published to the queue."""
        self._depths[queue].admitted += 1

    def queue_full(self, queue: str) -> Problem:
        """The 429 problem of a full queue."""
        depth = self._depths[queue]
        seconds = retry_after(depth.total, self._limit, depth.rate)
        detail = f"The queue '{queue}' is full: {depth.total} renders are waiting. Try again in {seconds} s."
        return Problem(429, "queue-full", detail, headers={"retry-after": str(seconds)})

    def mark_broker_down(self) -> None:
        """Record that the broker did not answer."""
        self._broker_failed_at = self._clock()

    def check_broker(self) -> None:
        """Raise BrokerUnavailable if the broker did not answer within the last second."""
        if self._clock() - self._broker_failed_at < REFRESH_INTERVAL:
            raise BrokerUnavailable

    async def refresh(self) -> None:
        """Refresh outdated queue depths. Concurrent callers share one refresh. Raises BrokerUnavailable."""
        self.check_broker()
        age = self._clock() - self._refreshed_at
        if age < REFRESH_INTERVAL:
            return
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._count_queues())
        if age > MAX_DEPTH_AGE or self._broker_failed_at > self._refreshed_at or any(map(self._is_full, RENDER_QUEUES)):
            await asyncio.shield(self._refreshing)
            self.check_broker()

    def _is_full(self, queue: str) -> bool:
        return self._depths[queue].total >= self._limit

    async def _count_queues(self) -> None:
        try:
            depths = await anyio.to_thread.run_sync(self._count_all, limiter=self._thread)
        except BrokerUnavailable:
            self.mark_broker_down()
            return
        now = self._clock()
        seconds = max(now - self._refreshed_at, 1e-3)
        for queue, waiting in depths.items():
            depth = self._depths[queue]
            if seconds <= MAX_DEPTH_AGE:
                depth.rate = drain_rate(
                    depth.rate, depth_before=depth.waiting, admitted=depth.admitted, depth_now=waiting, seconds=seconds
                )
            depth.waiting, depth.admitted = waiting, 0
        self._refreshed_at = now

    def _count_all(self) -> dict[str, int]:
        return {queue: self._count(queue) for queue in RENDER_QUEUES}
