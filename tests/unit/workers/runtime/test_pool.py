"""The pool that sees at once when a child has ended."""

import os
import select
import subprocess
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tasks import app
from workers.runtime import pool as module
from workers.runtime.pool import Pool, Worker


class Hub:
    """An event loop that only remembers what it shall watch."""

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


def tracked(pid: int, hub: Hub) -> SimpleNamespace:
    """A child of the pool, watched."""
    process = SimpleNamespace(pid=pid)
    pool = Pool.__new__(Pool)
    pool.maintain_pool = lambda: None
    pool._track_child_process(process, hub)
    return process


@pytest.mark.parametrize("_number", range(20))
def test_given_a_child_that_was_killed_when_the_pool_is_told_then_it_can_be_collected(
    child: "subprocess.Popen[bytes]", _number: int
) -> None:
    hub = Hub()
    tracked(child.pid, hub)
    [(fd, (told, args))] = hub.watched.items()
    assert not select.select([fd], [], [], 0)[0]

    child.kill()

    assert select.select([fd], [], [], 5)[0] == [fd]
    ended = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    assert ended is not None
    told(*args)
    assert hub.watched == {}
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def leaving(heard: int) -> Worker:
    """A child that leaves, of whose jobs the parent has heard so many."""
    worker = Worker.__new__(Worker)
    worker.on_ready_counter = SimpleNamespace(value=heard)
    return worker


def test_given_a_child_that_leaves_then_it_goes_as_soon_as_its_parent_has_heard_of_every_job() -> None:
    worker = leaving(heard=2)
    threading.Timer(0.05, setattr, (worker.on_ready_counter, "value", 3)).start()

    assert worker._ensure_messages_consumed(completed=3)


def test_given_a_parent_that_does_not_listen_then_the_child_goes_all_the_same_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RESULTS_CONSUMED_TIMEOUT", 0.05)

    assert not leaving(heard=2)._ensure_messages_consumed(completed=3)

    assert "The parent did not hear of every job of worker child" in caplog.text


def test_celery_is_told_to_use_it() -> None:
    assert app.conf.worker_pool == "workers.runtime.pool:TaskPool"


@pytest.mark.parametrize(
    ("ended", "well", "replaced"), [([], True, [[]]), ([-9], True, [[-9]]), ([1], False, []), ([-9, 1], False, [])]
)
def test_given_children_that_ended_before_their_parent_was_ready_then_those_that_were_killed_are_replaced(
    ended: list[int], well: bool, replaced: list[list[int]]
) -> None:
    started: list[list[int]] = []
    pool = Pool.__new__(Pool)
    pool._join_exited_workers = lambda: ended
    pool._repopulate_pool = started.append  # type: ignore[assignment, method-assign]

    assert pool.did_start_ok() is well
    assert started == replaced
