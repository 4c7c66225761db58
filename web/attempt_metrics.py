"""Counters and histograms of finished attempts, fed from the ledger.

Worker children come and go, so they serve no metrics page; the ledger knows every attempt. Each scrape reads the
attempts that ended since the last one. The processes of a web server share the position, so that each attempt
is counted once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry

from tasks.jobs.model import OUT_OF_MEMORY, Outcome
from tasks.jobs.recent import EndedAttempt
from tasks.observability import metrics
from tasks.utils.files import lock_file, write_atomically

# The histogram of each fact that workers record (workers/runtime/resource_usage.py).
MEASURES = {
    "seconds": metrics.ATTEMPT_DURATION,
    "cpu_seconds": metrics.ATTEMPT_CPU_TIME,
    "peak_bytes": metrics.ATTEMPT_PEAK_MEMORY,
    "plan_error": metrics.ATTEMPT_PLAN_ERROR,
    "memory_growth_bytes": metrics.ATTEMPT_MEMORY_GROWTH,
    "spilled_bytes": metrics.ATTEMPT_SPILLED,
    "descriptor_growth": metrics.ATTEMPT_DESCRIPTOR_GROWTH,
}

POSITION_FILE = "attempts.json"
LOCK_FILE = "attempts.lock"

# Seconds by which an attempt may become visible after its end: the commit takes a moment, and clocks of hosts differ.
OVERLAP = 60.0

# Attempts that are read at a time.
PAGE_SIZE = 10_000

# Combinations of outcome and cause that are exported as 0 from the start: Prometheus cannot see the first increase of a
# series that did not exist before.
INITIAL_LABELS = ((Outcome.SUCCEEDED, ""), (Outcome.FAILED, ""), (Outcome.CRASHED, OUT_OF_MEMORY))

# Reads up to `limit` attempts that ended at `since` (seconds since the epoch) or later, oldest first.
ReadAttempts = Callable[[float, int], Sequence[EndedAttempt]]


@dataclass
class Position:
    """How far attempts have been counted: the newest end, and the attempts counted within `OVERLAP` before it."""

    newest: float
    counted: set[tuple[str, int]] = field(default_factory=set)

    def advance(self, attempts: Sequence[EndedAttempt]) -> list[EndedAttempt]:
        """Move past `attempts`, and return those that were not counted before."""
        fresh = [attempt for attempt in attempts if (attempt.job, attempt.number) not in self.counted]
        self.newest = max([self.newest, *(attempt.ended_at for attempt in attempts)])
        self.counted = {
            (attempt.job, attempt.number) for attempt in attempts if attempt.ended_at >= self.newest - OVERLAP
        }
        return fresh


class AttemptMetrics:
    """Metrics of the attempts that ended after the web server started.

    `directory` is shared by the processes of the server; None if there is only one process.
    """

    def __init__(self, registry: CollectorRegistry, now: float, directory: Path | None = None) -> None:
        self._total = metrics.ATTEMPTS.open(registry)
        self._histograms = {name: metric.open(registry) for name, metric in MEASURES.items()}
        for labels in INITIAL_LABELS:
            self._total.labels(*labels)
        self._position = Position(now)
        self._shared = directory
        if directory:
            with lock_file(directory / LOCK_FILE):
                if not (directory / POSITION_FILE).exists():
                    self._save(directory)

    def update(self, read: ReadAttempts) -> None:
        """Count the attempts that ended since the last call of any process. Raises what `read` raises."""
        if self._shared is None:
            self._count(read)
            return
        with lock_file(self._shared / LOCK_FILE):
            self._load(self._shared)
            self._count(read)
            self._save(self._shared)

    def _count(self, read: ReadAttempts) -> None:
        for attempt in self._position.advance(_read_all(read, self._position.newest - OVERLAP)):
            self._total.labels(attempt.outcome, attempt.cause).inc()
            for name, histogram in self._histograms.items():
                if name in attempt.facts:
                    histogram.observe(attempt.facts[name])

    def _load(self, directory: Path) -> None:
        state = json.loads((directory / POSITION_FILE).read_text())
        self._position = Position(state["newest"], {(job, number) for job, number in state["counted"]})

    def _save(self, directory: Path) -> None:
        state = {"newest": self._position.newest, "counted": sorted(self._position.counted)}
        write_atomically(directory / POSITION_FILE, json.dumps(state))


def _read_all(read: ReadAttempts, since: float) -> list[EndedAttempt]:
    """All attempts that ended at `since` or later, oldest first, each once."""
    found: dict[tuple[str, int], EndedAttempt] = {}
    while True:
        page = read(since, PAGE_SIZE)
        found.update({(attempt.job, attempt.number): attempt for attempt in page})
        if len(page) < PAGE_SIZE or page[-1].ended_at <= since:
            return list(found.values())
        since = page[-1].ended_at
