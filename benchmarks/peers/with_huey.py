"""Huey on Redis: one worker thread. A task leaves the queue before it runs, so that a killed worker loses it."""

import os

from huey import RedisHuey  # type: ignore[import-untyped]

from benchmarks.peers import REDIS_URL, Peer, tick

huey = RedisHuey("noop", url=os.environ.get(REDIS_URL), results=False)


@huey.task()
def noop() -> None:
    """Do nothing."""
    tick()


def fill(count: int) -> None:
    """Enqueue."""
    for _ in range(count):
        noop()


def clear() -> None:
    """Empty the queue."""
    huey.flush()


PEER = Peer("huey", ("-m", "huey.bin.huey_consumer", f"{__name__}.huey", "-w", "1", "-q"), fill, clear)
