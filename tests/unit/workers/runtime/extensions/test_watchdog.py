"""Notifications of a worker's parent to systemd."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workers.runtime.extensions.watchdog import Watchdog


class Loop:
    """An event loop that records its periodic calls."""

    def __init__(self) -> None:
        self.repeated: list[tuple[float, Callable[[], None]]] = []

    def call_repeatedly(self, interval: float, callback: Callable[[], None]) -> None:
        self.repeated.append((interval, callback))


@pytest.fixture
def receive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Returns the next notification."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "60000000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        yield lambda: listener.recv(200).decode()


def test_given_a_parent_that_consumes_then_it_is_ready_and_its_event_loop_sends_pings(
    receive: Callable[[], str],
) -> None:
    loop, watchdog = Loop(), Watchdog()

    watchdog.ready(loop)

    assert receive() == "READY=1\nSTATUS=Consuming jobs."
    ((interval, ping),) = loop.repeated
    assert interval == 30
    ping()
    assert receive() == "WATCHDOG=1"


def test_given_a_broker_that_is_down_at_the_start_then_the_worker_is_ready_and_waits(
    receive: Callable[[], str],
) -> None:
    Watchdog().waiting_for_broker()

    assert receive() == "READY=1\nWATCHDOG=1\nSTATUS=Waiting for the broker."


def test_given_a_broker_that_returns_then_pings_are_not_scheduled_twice(receive: Callable[[], str]) -> None:
    loop, watchdog = Loop(), Watchdog()
    watchdog.ready(loop)
    receive()

    watchdog.waiting_for_broker()
    assert receive() == "READY=1\nWATCHDOG=1\nSTATUS=Waiting for the broker."
    watchdog.ready(loop)

    assert receive() == "READY=1\nSTATUS=Consuming jobs."
    assert len(loop.repeated) == 1


def test_given_a_pool_without_an_event_loop_then_the_watchdog_is_disabled(receive: Callable[[], str]) -> None:
    Watchdog().ready(None)

    assert receive() == "READY=1\nSTATUS=Consuming jobs."
    assert receive() == "WATCHDOG_USEC=0"


def test_given_a_parent_that_stops_then_its_status_says_so(receive: Callable[[], str]) -> None:
    Watchdog().stopping()

    assert receive() == "STOPPING=1\nSTATUS=Finishing the current job."
