"""Lanes: which queue a render goes to, and how much memory is there for it. Pure decisions.

    render          previews: seconds each
    render.tiles    Deep Zoom tiles: minutes each, so that no preview waits behind them
    render.large    what the ordinary fence cannot hold, where a larger one is configured

A worker takes from one lane only. From several it would hold one message of each while it works, and a preview that it
holds waits for a sheet of tiles after all: on quorum queues RabbitMQ counts the prefetch for every queue by itself.
"""

from tasks.messaging.topology import LARGE, RENDER, TILES
from tasks.renders import RenderOptions
from tasks.settings import Settings


def choose_queue(options: RenderOptions, peak_bytes: int, settings: Settings) -> str:
    """The queue for a render of these options whose plan says that it needs `peak_bytes` of memory."""
    if settings.large_memory_limit and peak_bytes > settings.memory_limit:
        return LARGE
    return TILES if options.tiles else RENDER


def memory_limit_of(queue: str, settings: Settings) -> int:
    """Bytes of memory that a worker of this lane may take."""
    return settings.large_memory_limit or settings.memory_limit if queue == LARGE else settings.memory_limit


def largest_memory_limit(settings: Settings) -> int:
    """Bytes of memory that a worker may take in any lane."""
    return memory_limit_of(LARGE, settings)
