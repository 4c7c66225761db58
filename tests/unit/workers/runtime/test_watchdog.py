"""What a worker's parent tells systemd, and when."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workers.runtime.watchdog import Watchdog


class Loop:
    """An event loop that remembers what it shall do."""

    def __init__(self) -> None:
        self.repeated: list[tuple[float, Callable[[], None]]] = []

    def call_repeatedly(self, interval: float, callback: Callable[[], None]) -> None:
        self.repeated.append((interval, callback))


@pytest.fixture
def hear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """What systemd heard last."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "60000000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        yield lambda: listener.recv(200).decode()


def test_given_a_parent_that_takes_jobs_then_it_is_ready_and_its_loop_tells_that_it_lives(
    hear: Callable[[], str],
) -> None:
    loop, watchdog = Loop(), Watchdog()

    watchdog.ready(loop)

    assert hear() == "READY=1\nSTATUS=Takes jobs."
    ((interval, beat),) = loop.repeated
    assert interval == 30
    beat()
    assert hear() == "WATCHDOG=1"


def test_given_a_broker_that_comes_back_then_the_loop_goes_on_as_before(hear: Callable[[], str]) -> None:
    loop, watchdog = Loop(), Watchdog()
    watchdog.ready(loop)
    hear()

    watchdog.waiting_for_broker()
    assert hear() == "WATCHDOG=1\nSTATUS=Waiting for the broker."
    watchdog.ready(loop)

    assert hear() == "READY=1\nSTATUS=Takes jobs."
    assert len(loop.repeated) == 1


def test_given_a_pool_without_an_event_loop_then_nobody_waits_for_signs_of_life(hear: Callable[[], str]) -> None:
    Watchdog().ready(None)

    assert hear() == "READY=1\nSTATUS=Takes jobs."
    assert hear() == "WATCHDOG_USEC=0"


def test_given_a_parent_that_ends_then_it_says_what_it_still_does(hear: Callable[[], str]) -> None:
    Watchdog().stopping()

    assert hear() == "STOPPING=1\nSTATUS=Finishes the job at hand."
