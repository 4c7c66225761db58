"""What the loop does while the broker is away."""

import gc
import weakref
from collections.abc import Callable, Iterator, Mapping

import pytest

from benchmarks.support.heartbeats_consumer import NullSink
from workers.heartbeats.coalescer import Coalescer
from workers.heartbeats.latest_readings import NullLatestReadings
from workers.heartbeats.sink import Flush, FlushResult
from workers.heartbeats.sources import Batch, SourceLost
from workers.heartbeats.window import Window


class Connection:
    """Holds itself, as a broker's connection and its channels hold each other."""

    def __init__(self) -> None:
        self.channel = self


class Away:
    """A source whose broker refuses every connection."""

    def __init__(self) -> None:
        self.made: list[Callable[[], Connection | None]] = []

    def open(self, offsets: Mapping[int, int]) -> None:  # noqa: ARG002
        self.made.append(weakref.ref(Connection()))
        raise SourceLost("The broker is away.")

    def poll(self, timeout: float) -> Batch | None:  # noqa: ARG002
        raise SourceLost("The broker is away.")

    def close(self) -> None:
        pass


class Empty(NullSink):
    """A sink that nothing may be written to."""

    def flush(self, flush: Flush) -> FlushResult:
        raise NotImplementedError


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Nobody looks for cycles, as in the process of a coalescer."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
def test_given_a_broker_that_is_away_then_nothing_of_a_connection_that_failed_stays() -> None:
    source = Away()

    def new_window(machines: dict[str, int]) -> Window:
        return Window(
            seconds=60, machines_per_plant=1, max_cached=1, max_clock_skew=0, machine_counts=machines, clock=lambda: 0.0
        )

    Coalescer(
        source,
        Empty(),
        NullLatestReadings(),
        new_window,
        is_stopping=lambda: len(source.made) > 3,
        lease=30,
        wait=lambda _: None,
    ).run()

    assert [connection() for connection in source.made[:-1]] == [None, None, None]
