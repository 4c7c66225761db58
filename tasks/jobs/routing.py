"""Routing of renders to queues, and the memory limit of each queue. Pure functions.

    render          previews: seconds each
    render.tiles    Deep Zoom tiles: minutes each, in a queue of their own so that no preview waits behind them
    render.large    renders that exceed the ordinary memory limit, if a larger one is configured

A worker consumes from one queue only. On quorum queues RabbitMQ counts the prefetch for each queue separately, so a
worker with several queues would hold one message of each, and a preview would wait for tiles after all.
"""

from tasks.messaging.topology import LARGE, RENDER, TILES
from tasks.renders import RenderOptions
from tasks.settings import Settings


def choose_queue(options: RenderOptions, peak_bytes: int, settings: Settings) -> str:
    """The queue for a render with these options that needs `peak_bytes` of memory according to its plan."""
    if settings.large_memory_limit and peak_bytes > settings.memory_limit:
        return LARGE
    return TILES if options.tiles else RENDER


def memory_limit_of(queue: str, settings: Settings) -> int:
    """The memory limit of the workers of this queue, in bytes."""
    return settings.large_memory_limit or settings.memory_limit if queue == LARGE else settings.memory_limit


def largest_memory_limit(settings: Settings) -> int:
    """The largest memory limit of any queue, in bytes."""
    return memory_limit_of(LARGE, settings)
