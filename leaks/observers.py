"""Who looks on inside the child while jobs run: nobody, the tagger, Python's tracemalloc, LeakSanitizer or memray.

Each writes its findings in its own form; the instrument that asked for it reads them.
"""

import ctypes
import gc
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leaks.samples import LAG, Series, warm_up_jobs
from leaks.tagger import Tagger
from leaks.target import Job

# Frames of Python that tracemalloc keeps of each block, and places in its findings.
PYTHON_FRAMES = 12
MAX_SITES = 20

# memray's capture, beside the findings; and how often it is asked to note what lives (milliseconds), which is its clock
# of births. It notes less often than that, so there is a pause before each job (seconds): a birth shall be noted before
# the next job begins.
CAPTURE = ".memray"
MEMORY_INTERVAL = 1
SNAPSHOT_DELAY = 0.03


class Observer:
    """Nobody looks on. Subclasses override what they need."""

    # Bytes on the heap, where the watch knows better than mallinfo2.
    heap: Callable[[], int] | None = None

    def __init__(self, jobs: int, findings: Path) -> None:
        self.jobs = jobs
        self.findings = findings

    def before_job(self, number: int) -> None:
        """Job `number` begins."""

    def after_job(self) -> None:
        """It is over; what follows is the observer."""

    def after_warm_up(self) -> None:
        """The last job of the warm-up is over."""

    def survivors(self, jobs: int) -> tuple[list[int], list[int]]:  # noqa: ARG002 -- for those that know
        """Bytes and blocks alive now, by job of birth; empty where nobody knows."""
        return [], []

    def finish(self, job: Job) -> None:
        """All jobs are done; `job` may be run once more."""


class TaggerObserver(Observer):
    """Counts survivors by job of birth."""

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
    """Also keeps the stacks of what is born in the measured jobs, and dumps those that live at the end."""

    def __init__(self, jobs: int, findings: Path) -> None:
        super().__init__(jobs, findings)
        self.tagger.record_stacks(warm_up_jobs(jobs) + 1, jobs - LAG)

    def finish(self, job: Job) -> None:  # noqa: ARG002
        self.tagger.dump(self.findings)


class TracemallocObserver(Observer):
    """Where Python objects that stay were made, and which ones only the collector frees."""

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
    """What Python holds by now, without what the observer made."""
    import tracemalloc

    own = (tracemalloc.__file__, str(Path(__file__).parent / "*"))
    return tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, pattern) for pattern in own])  # noqa: FBT003


def _cycles(job: Job) -> dict[str, int]:
    """Types of what one more job leaves to the collector, with their number."""
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
    """LeakSanitizer, preloaded: what is born in the warm-up is no leak; the report goes to its log_path."""

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
    """memray's tracker around the measured jobs; when each began goes to the findings, its capture beside them."""

    def __init__(self, jobs: int, findings: Path) -> None:
        super().__init__(jobs, findings)
        self._began = Series(jobs)
        import memray

        self._tracker = memray.Tracker(
            findings.with_suffix(CAPTURE), native_traces=True, follow_fork=True, memory_interval_ms=MEMORY_INTERVAL
        )

    def before_job(self, number: int) -> None:
        time.sleep(SNAPSHOT_DELAY)
        self._began[number - 1] = time.time_ns() // 1_000_000
        if number == warm_up_jobs(self.jobs) + 1:
            self._tracker.__enter__()

    def finish(self, job: Job) -> None:  # noqa: ARG002
        self._tracker.__exit__(None, None, None)
        self.findings.write_text(json.dumps(self._began.first(self.jobs)))


_OBSERVERS: dict[str, type[Observer]] = {
    "nobody": Observer,
    "tagger": TaggerObserver,
    "stacks": StackObserver,
    "python": TracemallocObserver,
    "lsan": LsanObserver,
    "memray": MemrayObserver,
}


def create_observer(name: str, jobs: int, findings: Path) -> Observer:
    """The watch of that name, in the process that it watches; what it finds goes to `findings`."""
    return _OBSERVERS[name](jobs, findings)
