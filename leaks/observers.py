"""Observers inside the child: none, the tagger, Python's tracemalloc, LeakSanitizer or memray.

Each writes its findings in a format of its own, which the instrument that uses it reads.
"""

import ctypes
import gc
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leaks.measurements import LAG, Series, warm_up_jobs
from leaks.tagger import Tagger
from leaks.target import Job

# Python frames that tracemalloc records per block, and allocation sites in its findings.
PYTHON_FRAMES = 12
MAX_SITES = 20

# memray's capture, stored beside the findings, and the requested interval of its snapshots (milliseconds), which date
# allocations. Actual snapshots are rarer, so there is a delay before each job (seconds): every allocation must be dated
# before the next job starts.
CAPTURE = ".memray"
MEMORY_INTERVAL = 1
SNAPSHOT_DELAY = 0.03


class Observer:
    """Observes nothing. Subclasses override what they need."""

    # Bytes on the heap, if the observer knows them better than mallinfo2.
    heap: Callable[[], int] | None = None

    def __init__(self, jobs: int, findings: Path) -> None:
        self.jobs = jobs
        self.findings = findings

    def before_job(self, number: int) -> None:
        """Called before job `number`."""

    def after_job(self) -> None:
        """Called after each job; later allocations are the observer's."""

    def after_warm_up(self) -> None:
        """Called after the last job of the warm-up."""

    def survivors(self, jobs: int) -> tuple[list[int], list[int]]:  # noqa: ARG002 -- used by subclasses
        """Bytes and blocks that are alive, by the job that allocated them; empty if unknown."""
        return [], []

    def finish(self, job: Job) -> None:
        """Called after all jobs; may run `job` once more."""


class TaggerObserver(Observer):
    """Counts survivors by the job that allocated them."""

    def __init__(self, jobs: int, findings: Path) -> None:
        super().__init__(jobs, findings)
        self.tagger = Tagger()
        self.heap = self._heap
        self._last = 0
        self._bytes, self._blocks = Series(jobs), Series(jobs)

    def _heap(self) -> int:
        return self.tagger.total(self._last)

    def before_job(self, number: int) -> None:
        self._last = number
        self.tagger.set_job(number)

    def after_job(self) -> None:
        self.tagger.set_job(0)

    def survivors(self, jobs: int) -> tuple[list[int], list[int]]:
        for number in range(1, jobs + 1):
            self._bytes[number - 1] = self.tagger.bytes(number)
            self._blocks[number - 1] = self.tagger.blocks(number)
        return self._bytes.first(jobs), self._blocks.first(jobs)


class StackObserver(TaggerObserver):
    """Also records the stacks of allocations in the measured jobs, and dumps those of survivors."""

    def __init__(self, jobs: int, findings: Path) -> None:
        super().__init__(jobs, findings)
        self.tagger.record_stacks(warm_up_jobs(jobs) + 1, jobs - LAG)

    def finish(self, job: Job) -> None:  # noqa: ARG002
        self.tagger.dump(self.findings)


class TracemallocObserver(Observer):
    """Finds where Python objects that are kept were created, and which objects only the collector frees."""

    def after_warm_up(self) -> None:
        import tracemalloc

        tracemalloc.start(PYTHON_FRAMES)
        self._before = _snapshot()

    def finish(self, job: Job) -> None:
        import tracemalloc

        gc.collect()
        grown = _snapshot().compare_to(self._before, "traceback")[:MAX_SITES]
        tracemalloc.stop()
        places = [
            {
                "bytes": place.size_diff,
                "blocks": place.count_diff,
                "frames": [[frame.filename, frame.lineno] for frame in reversed(place.traceback)],
            }
            for place in grown
            if place.count_diff > 0
        ]
        self.findings.write_text(json.dumps({"places": places, "cycles": _cycles(job)}))


def _snapshot() -> Any:
    """A snapshot of Python's memory without the observer's own."""
    import tracemalloc

    own = (tracemalloc.__file__, str(Path(__file__).parent / "*"))
    return tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, pattern) for pattern in own])  # noqa: FBT003


def _cycles(job: Job) -> dict[str, int]:
    """Number of objects that one more job leaves to the collector, by type."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        job()
        gc.collect()
        return dict(Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.garbage))
    finally:
        gc.set_debug(0)
        gc.enable()
        gc.garbage.clear()
        gc.collect()


class LsanObserver(Observer):
    """Preloaded LeakSanitizer. Allocations of the warm-up are not leaks; the report is written to its log_path."""

    def __init__(self, jobs: int, findings: Path) -> None:
        super().__init__(jobs, findings)
        self._library = ctypes.CDLL(None)
        self._call("disable")

    def after_warm_up(self) -> None:
        self._call("enable")

    def finish(self, job: Job) -> None:  # noqa: ARG002
        self._call("do_recoverable_leak_check")

    def _call(self, name: str) -> None:
        getattr(self._library, f"__lsan_{name}")()


class MemrayObserver(Observer):
    """memray's tracker around the measured jobs. Writes the start time of each job to the findings."""

    def __init__(self, jobs: int, findings: Path) -> None:
        super().__init__(jobs, findings)
        self._started = Series(jobs)
        import memray

        self._tracker = memray.Tracker(
            findings.with_suffix(CAPTURE), native_traces=True, follow_fork=True, memory_interval_ms=MEMORY_INTERVAL
        )

    def before_job(self, number: int) -> None:
        time.sleep(SNAPSHOT_DELAY)
        self._started[number - 1] = time.time_ns() // 1_000_000
        if number == warm_up_jobs(self.jobs) + 1:
            self._tracker.__enter__()

    def finish(self, job: Job) -> None:  # noqa: ARG002
        self._tracker.__exit__(None, None, None)
        self.findings.write_text(json.dumps(self._started.first(self.jobs)))


_OBSERVERS: dict[str, type[Observer]] = {
    "none": Observer,
    "tagger": TaggerObserver,
    "stacks": StackObserver,
    "python": TracemallocObserver,
    "lsan": LsanObserver,
    "memray": MemrayObserver,
}


def create_observer(name: str, jobs: int, findings: Path) -> Observer:
    """The observer of that name, in the process that it observes; it writes to `findings`."""
    return _OBSERVERS[name](jobs, findings)
