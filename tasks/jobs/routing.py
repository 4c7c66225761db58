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


def lane(options: RenderOptions, peak_bytes: int, settings: Settings) -> str:
    """The queue for a render of these options whose plan says that it needs `peak_bytes` of memory."""
    if settings.large_fence_bytes and peak_bytes > settings.fence_bytes:
        return LARGE
    return TILES if options.tiles else RENDER


def fence_of(queue: str, settings: Settings) -> int:
    """Bytes of memory that a worker of this lane may take."""
    return settings.large_fence_bytes or settings.fence_bytes if queue == LARGE else settings.fence_bytes


def largest_fence(settings: Settings) -> int:
    """Bytes of memory that a worker may take in any lane."""
    return fence_of(LARGE, settings)
