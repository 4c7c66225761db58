"""Who works: the workers that answer the broker's call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from celery import Celery


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker as it answered: its parent process and children, how many jobs it did, how many seconds it is up."""

    name: str
    pid: int
    children: list[int]
    done: int
    uptime: float


def crew(app: Celery, seconds: float) -> list[Worker]:
    """All workers that answer within so many seconds, by name; it takes that long. Raises BROKER_ERRORS."""
    answers: Mapping[str, Mapping[str, Any]] = app.control.inspect(timeout=seconds).stats() or {}
    return sorted((_worker(name, answer) for name, answer in answers.items()), key=lambda worker: worker.name)


def _worker(name: str, answer: Mapping[str, Any]) -> Worker:
    pool = answer.get("pool") or {}
    return Worker(
        name=name,
        pid=int(answer.get("pid", 0)),
        children=[int(pid) for pid in pool.get("processes") or []],
        done=sum(map(int, (answer.get("total") or {}).values())),
        uptime=float(answer.get("uptime", 0)),
    )
