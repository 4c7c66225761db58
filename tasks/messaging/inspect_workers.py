"""Who works: the workers that answer the broker's call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from celery import Celery


@dataclass(frozen=True, slots=True)
class CgroupMemory:
    """A worker's memory cgroup: bytes in use, the most that ever was, and the limit; None where nothing tells."""

    current: int | None = None
    peak: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker as it answered: its parent process and children, how many jobs it did, how many seconds it is up.

    Of its children, `recycled` were replaced between two jobs, and others `died`: killed, or crashed.
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
    """All workers that answer within so many seconds, by name; it takes that long. Raises BROKER_ERRORS."""
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
