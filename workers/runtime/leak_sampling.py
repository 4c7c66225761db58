"""The leak watch of a worker child: it hears what jobs left lately, and runs some of a suspected kind under memray.

    with tracked(bench, job) as is_tracked:
        ...                                  # the work, and its end in the ledger

The report, memray's flame graph of what was not freed, lands in the store below `leaks/`.
"""

import importlib.util
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from celery.utils.log import get_logger

from tasks.jobs import Job, Ledger, LedgerError, latest_attempts
from tasks.jobs.leak_detection import MAX_JOBS, REPORTS_PREFIX, Confidence, find_leaks, residues
from tasks.renders import ENGINE_VERSION
from tasks.storage import StoreError

if TYPE_CHECKING:
    from workers.runtime.context import WorkerContext

logger = get_logger(__name__)

# Jobs after which a child asks the ledger anew: the answer takes it some milliseconds.
REFRESH_EVERY = 50

# Reports kept of one kind of drawing and engine: more would tell nothing new. Who wants others removes them.
MAX_REPORTS = 10

# Seconds that writing a report may take; two are usual.
REPORT_TIMEOUT = 60.0


class LeakDetector:
    """What one child knows of leaks."""

    def __init__(self) -> None:
        self._jobs = 0
        self._suspected_formats: frozenset[str] = frozenset()

    def suspected_formats(self, ledger: Ledger) -> frozenset[str]:
        """Formats of drawings that are suspected, as of the last time that the ledger was asked. Logs them."""
        if self._jobs % REFRESH_EVERY == 0:
            try:
                findings = find_leaks(residues(latest_attempts(ledger.database, MAX_JOBS)))
            except LedgerError:
                return self._suspected_formats
            found = [one for one in findings if one.is_suspected and one.engine == ENGINE_VERSION]
            for one in found:
                (logger.error if one.confidence is Confidence.CERTAIN else logger.warning)(one.summary)
            self._suspected_formats = frozenset(one.format for one in found)
        self._jobs += 1
        return self._suspected_formats


def is_sampled(job: str, every: int) -> bool:
    """Whether this job is one in `every`; none if that is 0."""
    return every > 0 and zlib.crc32(job.encode()) % every == 0


@contextmanager
def profile_if_suspected(context: "WorkerContext", job: Job) -> Iterator[bool]:
    """Run the block under memray if the job's kind is suspected and this one is picked; answers whether it does."""
    kind = (job.plan or {}).get("format", "unknown")
    suspects = context.leak_detector.suspected_formats(context.ledger)
    if (
        kind not in suspects
        or not is_sampled(job.id, context.settings.leak_sample_every)
        or not _can_profile(context, kind)
    ):
        yield False
        return
    import memray

    with context.scratch_dir() as folder:
        capture = folder / "job.memray"
        aggregated = memray.FileFormat.AGGREGATED_ALLOCATIONS  # small; a killed job leaves none, and needs none
        with memray.Tracker(capture, native_traces=True, file_format=aggregated):
            yield True
        _store_report(context, capture, f"{_report_prefix(kind)}/{job.id}.html")


def _can_profile(context: "WorkerContext", kind: str) -> bool:
    if importlib.util.find_spec("memray") is None:
        logger.warning("A job of %s should run under memray, which is missing: pip install 'bulkhead[leaks]'.", kind)
        return False
    try:
        return sum(1 for _ in context.store.list(_report_prefix(kind))) < MAX_REPORTS
    except StoreError as error:
        logger.warning("No job is tracked, for its report could not be stored. %s", error)
        return False


def _report_prefix(kind: str) -> str:
    return f"{REPORTS_PREFIX}/{kind}/{ENGINE_VERSION}"


def _store_report(context: "WorkerContext", capture: Path, key: str) -> None:
    """Whatever goes wrong here is no matter of the job's, which is settled."""
    html = capture.with_suffix(".html")
    argv = [sys.executable, "-m", "memray", "flamegraph", "--leaks", "--force", "--output", str(html), str(capture)]
    try:
        subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=REPORT_TIMEOUT, check=True)
        with html.open("rb") as file:
            context.store.put(key, file)
    except (OSError, subprocess.SubprocessError, StoreError) as error:
        logger.warning("The report of a tracked job is lost: %s", error)
    else:
        logger.warning("What a tracked job did not free is in the store: %s", key)
