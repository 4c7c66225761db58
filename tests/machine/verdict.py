"""Judges a storm of memory bombs: each job's end, and that nothing but renders was killed."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.machine.workers import WorkerState, is_leaf

# Attempts after which a job that exceeds its memory limit is dead (BULKHEAD_MAX_CRASHES).
MAX_CRASHES = 3

CAUSE = "out-of-memory"


def judge_jobs(renders: Mapping[str, Mapping[str, Any]], bombs: frozenset[str]) -> list[str]:
    """The violations of all jobs (id -> `GET /renders/{id}`); `bombs` are the ids of those that must be dead."""
    violations = []
    for job, render in renders.items():
        kind, errors = ("bomb", _bomb(render)) if job in bombs else ("good job", _good(render))
        violations += [f"{kind} {job} {error}" for error in errors]
    return violations


def judge_workers(before: Sequence[WorkerState], after: Sequence[WorkerState]) -> list[str]:
    """The violations of the workers' processes, which must be the same before and after the storm."""
    violations = []
    for old, new in zip(before, after, strict=True):
        pairs = {
            "is": (new.active, "active"),
            "has restarts:": (new.restarts, old.restarts),
            "has the main process": (new.main_pid, old.main_pid),
            "has the child processes": (new.children, old.children),
            "was killed as a group:": (new.group_kills, old.group_kills),
        }
        violations += [
            f"{new.unit} {words} {value}, expected {expected}"
            for words, (value, expected) in pairs.items()
            if value != expected
        ]
    return violations


def judge_kills(limits: Sequence[str], counted: int, bombs: int) -> list[str]:
    """The violations of the kernel's kills during the storm.

    `limits` are the cgroups whose limit was hit according to the kernel log, `counted` the kills according to
    `memory.events`.
    """
    violations = [
        f"the limit of {cgroup} was hit, which is no leaf of a render" for cgroup in limits if not is_leaf(cgroup)
    ]
    for source, kills in {"memory.events": counted, "the kernel log": len(limits)}.items():
        if kills != bombs * MAX_CRASHES:
            violations.append(f"{source} has {kills} kills, expected {bombs * MAX_CRASHES}")
    return violations


def _good(render: Mapping[str, Any]) -> list[str]:
    if render["state"] == "succeeded" and len(render["attempts"]) == 1:
        return []
    return [f"is {render['state']}: {_describe(render)}"]


def _bomb(render: Mapping[str, Any]) -> list[str]:
    causes = [attempt["cause"] for attempt in render["attempts"]]
    if render["state"] != "dead" or causes != [CAUSE] * MAX_CRASHES:
        return [f"is {render['state']}: {_describe(render)}"]
    return [
        f"has no OOM kill in the facts of attempt {attempt['number']}: {attempt['facts']}"
        for attempt in render["attempts"]
        if not _kills(attempt)
    ]


def _kills(attempt: Mapping[str, Any]) -> int:
    """The kills that the cgroup of the attempt counted (`memory.events`)."""
    cgroup = (attempt["facts"] or {}).get("cgroup") or {}
    return int((cgroup.get("events") or {}).get("oom_kill", 0))


def _describe(render: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{attempt['number']} {attempt['outcome']} {attempt['cause'] or ''} {attempt['explanation'] or ''}".rstrip()
        for attempt in render["attempts"]
    )
