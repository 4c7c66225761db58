"""RQ on Redis: one worker that forks a child for every job."""

import os

from redis import Redis
from rq import Queue

from benchmarks.peers import REDIS_URL, Peer, tick

QUEUE = "noop"


def fill(count: int) -> None:
    """Enqueue."""
    queue = _queue()
    for _ in range(count):
        queue.enqueue(tick, result_ttl=0)


def clear() -> None:
    """Empty the queue."""
    _queue().empty()  # type: ignore[no-untyped-call]


def _queue() -> Queue:
    return Queue(QUEUE, connection=Redis.from_url(os.environ[REDIS_URL]))


PEER = Peer("rq", ("-m", "rq.cli", "worker", "-q", QUEUE), fill, clear)
