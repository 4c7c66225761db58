"""The pool detects the end of a child at once."""

import os
import select
import subprocess
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tasks import app
from workers.runtime.extensions import pool as module
from workers.runtime.extensions.pool import Pool, Worker


class Hub:
    """An event loop that records its readers."""

    def __init__(self) -> None:
        self.watched: dict[int, tuple[Callable[..., Any], tuple[Any, ...]]] = {}

    def add_reader(self, fd: int, callback: Callable[..., Any], *args: object) -> None:
        self.watched[fd] = (callback, args)

    def remove(self, fd: int) -> None:
        del self.watched[fd]


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def track(pid: int, hub: Hub) -> SimpleNamespace:
    """A child that the pool tracks."""
    process = SimpleNamespace(pid=pid)
    pool = Pool.__new__(Pool)
    pool.maintain_pool = lambda: None
    pool._track_child_process(process, hub)
    return process


@pytest.mark.parametrize("_number", range(20))
def test_given_a_killed_child_when_its_descriptor_is_readable_then_it_can_be_reaped(
    child: "subprocess.Popen[bytes]", _number: int
) -> None:
    hub = Hub()
    track(child.pid, hub)
    [(fd, (callback, args))] = hub.watched.items()
    assert not select.select([fd], [], [], 0)[0]

    child.kill()

    assert select.select([fd], [], [], 5)[0] == [fd]
    ended = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    assert ended is not None
    callback(*args)
    assert hub.watched == {}
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def exiting_worker(received: int) -> Worker:
    """A child that exits, with `received` results at its parent."""
    worker = Worker.__new__(Worker)
    worker.on_ready_counter = SimpleNamespace(value=received)
    return worker


def test_given_an_exiting_child_then_it_ends_as_soon_as_its_parent_has_all_results() -> None:
    worker = exiting_worker(received=2)
    threading.Timer(0.05, setattr, (worker.on_ready_counter, "value", 3)).start()

    assert worker._ensure_messages_consumed(completed=3)


def test_given_a_parent_that_receives_nothing_then_the_child_ends_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RESULTS_CONSUMED_TIMEOUT", 0.05)

    assert not exiting_worker(received=2)._ensure_messages_consumed(completed=3)

    assert "The parent did not receive all results of worker child" in caplog.text


def test_celery_is_configured_to_use_it() -> None:
    assert app.conf.worker_pool == "workers.runtime.extensions.pool:TaskPool"


@pytest.mark.parametrize(
    ("exit_codes", "is_ok", "replaced"),
    [([], True, [[]]), ([-9], True, [[-9]]), ([1], False, []), ([-9, 1], False, [])],
)
def test_given_children_that_ended_before_start_up_was_complete_then_killed_ones_are_replaced(
    exit_codes: list[int], is_ok: bool, replaced: list[list[int]]
) -> None:
    started: list[list[int]] = []
    pool = Pool.__new__(Pool)
    pool._join_exited_workers = lambda: exit_codes
    pool._repopulate_pool = started.append  # type: ignore[assignment, method-assign]

    assert pool.did_start_ok() is is_ok
    assert started == replaced
