"""The coalescer's loop while the broker is down."""

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
    """Refers to itself, as a broker's connection and its channels refer to each other."""

    def __init__(self) -> None:
        self.channel = self


class UnavailableSource:
    """A source whose broker refuses every connection."""

    def __init__(self) -> None:
        self.connections: list[Callable[[], Connection | None]] = []

    def open(self, offsets: Mapping[int, int]) -> None:  # noqa: ARG002
        self.connections.append(weakref.ref(Connection()))
        raise SourceLost("The broker is down.")

    def poll(self, timeout: float) -> Batch | None:  # noqa: ARG002
        raise SourceLost("The broker is down.")

    def close(self) -> None:
        pass


class ReadOnlySink(NullSink):
    """A sink that must not be written to."""

    def flush(self, flush: Flush) -> FlushResult:
        raise NotImplementedError


@pytest.fixture
def without_gc() -> Iterator[None]:
    """Disable garbage collection, as in the process of a coalescer."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_gc")
def test_given_an_unavailable_broker_then_failed_connections_are_released() -> None:
    source = UnavailableSource()

    def new_window(machines: dict[str, int]) -> Window:
        return Window(
            seconds=60, machines_per_plant=1, max_cached=1, max_clock_skew=0, machine_counts=machines, clock=lambda: 0.0
        )

    Coalescer(
        source,
        ReadOnlySink(),
        NullLatestReadings(),
        new_window,
        is_stopping=lambda: len(source.connections) > 3,
        lease=30,
        wait=lambda _: None,
    ).run()

    assert [connection() for connection in source.connections[:-1]] == [None, None, None]
