"""What workers say of themselves, of whatever version they are."""

from types import SimpleNamespace
from typing import Any, cast

from celery import Celery

from tasks.messaging.inspect_workers import CgroupMemory, Worker, inspect_workers


def app_that_hears(answers: dict[str, Any] | None) -> Celery:
    inspect = SimpleNamespace(stats=lambda: answers)
    return cast("Celery", SimpleNamespace(control=SimpleNamespace(inspect=lambda **_: inspect)))


def test_given_a_newer_worker_that_tells_more_then_what_is_known_is_taken() -> None:
    pool = {
        "processes": [11],
        "memory": {"current": 1, "peak": 2, "limit": 3, "swap": 4},
        "children": {"recycled": 5, "crashed": 6, "lost": 7},
    }
    answer = {"pid": 10, "uptime": 9, "total": {"render.blueprint": 8}, "pool": pool}
    assert inspect_workers(app_that_hears({"render1@a": answer}), 0.1) == [
        Worker("render1@a", 10, [11], 8, 9.0, CgroupMemory(1, 2, 3), recycled=5, crashed=6)
    ]


def test_given_a_stock_worker_then_its_fence_is_unknown() -> None:
    assert inspect_workers(app_that_hears({"other@b": {"pid": 1, "pool": None}}), 0.1) == [
        Worker("other@b", 1, [], 0, 0.0)
    ]


def test_given_nobody_answers_then_there_is_no_crew() -> None:
    assert inspect_workers(app_that_hears(None), 0.1) == []
