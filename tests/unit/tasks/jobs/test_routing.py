"""Routing of renders to queues, and the memory limit of each queue."""

import pytest
from pydantic import ValidationError

from tasks.jobs.routing import choose_queue, largest_memory_limit, memory_limit_of
from tasks.messaging.topology import LARGE, RENDER, TILES
from tasks.renders import RenderOptions
from tasks.settings import Settings
from tasks.utils.units import MIB

ORDINARY = Settings(memory_limit=512 * MIB)
WITH_LARGE = Settings(memory_limit=512 * MIB, large_memory_limit=2048 * MIB)


@pytest.mark.parametrize(
    ("tiles", "peak", "settings", "queue"),
    [
        (False, 100 * MIB, ORDINARY, RENDER),
        (True, 100 * MIB, ORDINARY, TILES),
        (False, 900 * MIB, ORDINARY, RENDER),  # it will be rejected
        (False, 512 * MIB, WITH_LARGE, RENDER),
        (True, 512 * MIB, WITH_LARGE, TILES),
        (False, 513 * MIB, WITH_LARGE, LARGE),
        (True, 513 * MIB, WITH_LARGE, LARGE),
    ],
)
def test_a_render_is_routed_by_its_memory_and_its_tiles(tiles: bool, peak: int, settings: Settings, queue: str) -> None:
    assert choose_queue(RenderOptions(tiles=tiles), peak, settings) == queue


def test_only_the_large_queue_has_a_larger_memory_limit_and_only_where_it_is_configured() -> None:
    assert [memory_limit_of(queue, WITH_LARGE) // MIB for queue in (RENDER, TILES, LARGE)] == [512, 512, 2048]
    assert memory_limit_of(LARGE, ORDINARY) == ORDINARY.memory_limit
    assert (largest_memory_limit(ORDINARY), largest_memory_limit(WITH_LARGE)) == (512 * MIB, 2048 * MIB)


def test_a_large_memory_limit_that_is_not_larger_is_rejected() -> None:
    with pytest.raises(ValidationError, match="it must be more than BULKHEAD_MEMORY_LIMIT"):
        Settings(memory_limit=512 * MIB, large_memory_limit=512 * MIB)
