"""Workers that reply to Celery's inspect broadcast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from celery import Celery


@dataclass(frozen=True, slots=True)
class CgroupMemory:
    """Memory of a worker's cgroup, bytes: in use, peak and limit. None: unknown."""

    current: int | None = None
    peak: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker's reply: its parent process and child processes, its completed jobs, and its uptime in seconds.

    `recycled` children were replaced between two jobs; `crashed` ones crashed or were killed.
    """

    name: str
    pid: int
    children: list[int]
    completed_jobs: int
    uptime: float
    memory: CgroupMemory = field(default_factory=CgroupMemory)
    recycled: int = 0
    crashed: int = 0


def inspect_workers(app: Celery, timeout: float) -> list[Worker]:
    """The workers that reply within `timeout` seconds, sorted by name. It takes that long. Raises BROKER_ERRORS."""
    answers: Mapping[str, Mapping[str, Any]] = app.control.inspect(timeout=timeout).stats() or {}
    return sorted((_worker(name, answer) for name, answer in answers.items()), key=lambda worker: worker.name)


def _worker(name: str, answer: Mapping[str, Any]) -> Worker:
    pool = answer.get("pool") or {}
    memory, children = pool.get("memory") or {}, pool.get("children") or {}
    return Worker(
        name=name,
        pid=int(answer.get("pid", 0)),
        children=[int(pid) for pid in pool.get("processes") or []],
        completed_jobs=sum(map(int, (answer.get("total") or {}).values())),
        uptime=float(answer.get("uptime", 0)),
        memory=CgroupMemory(memory.get("current"), memory.get("peak"), memory.get("limit")),
        recycled=int(children.get("recycled", 0)),
        crashed=int(children.get("crashed", 0)),
    )
