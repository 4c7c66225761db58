"""Runs a sample of the jobs of suspected formats under memray.

    with profile_if_suspected(context, job) as is_profiled:
        ...                                  # the work, and recording its result in the ledger

The report, memray's flame graph of memory that was not freed, is stored below `leaks/` in the store.
"""

import importlib.util
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from celery.utils.log import get_logger

from tasks.jobs import Job
from tasks.jobs.leak_detection import REPORTS_PREFIX
from tasks.renders import ENGINE_VERSION
from tasks.storage import StoreError
from workers.runtime.worker_context import WorkerContext

logger = get_logger(__name__)

# Reports per format and engine version; more would add nothing. Delete them from the store to get new ones.
MAX_REPORTS = 10

# Seconds to write a report; it usually takes two.
REPORT_TIMEOUT = 60.0


def is_sampled(job: str, every: int) -> bool:
    """Whether this job is one in `every`; never if that is 0."""
    return every > 0 and zlib.crc32(job.encode()) % every == 0


@contextmanager
def profile_if_suspected(context: WorkerContext, job: Job) -> Iterator[bool]:
    """Run the block under memray if the job's format is suspected and the job is sampled; yields whether it does."""
    drawing_format = (job.plan or {}).get("format", "unknown")
    suspected_formats = context.leak_detector.suspected_formats(context.ledger)
    if (
        drawing_format not in suspected_formats
        or not is_sampled(job.id, context.settings.leak_sample_every)
        or not _can_profile(context, drawing_format)
    ):
        yield False
        return
    import memray

    with context.scratch_dir() as folder:
        capture = folder / "job.memray"
        aggregated = memray.FileFormat.AGGREGATED_ALLOCATIONS  # small; a killed job leaves none and needs none
        with memray.Tracker(capture, native_traces=True, file_format=aggregated):
            yield True
        _store_report(context, capture, f"{_report_prefix(drawing_format)}/{job.id}.html")


def _can_profile(context: WorkerContext, drawing_format: str) -> bool:
    if importlib.util.find_spec("memray") is None:
        logger.warning(
            "A job of the format %s should run under memray, which is missing: pip install 'bulkhead[leaks]'.",
            drawing_format,
        )
        return False
    try:
        return sum(1 for _ in context.store.list(_report_prefix(drawing_format))) < MAX_REPORTS
    except StoreError as error:
        logger.warning("The job is not profiled because the store cannot be read: %s", error)
        return False


def _report_prefix(drawing_format: str) -> str:
    return f"{REPORTS_PREFIX}/{drawing_format}/{ENGINE_VERSION}"


def _store_report(context: WorkerContext, capture: Path, key: str) -> None:
    """Store the report. An error is logged only, because the job has finished."""
    html = capture.with_suffix(".html")
    argv = [sys.executable, "-m", "memray", "flamegraph", "--leaks", "--force", "--output", str(html), str(capture)]
    try:
        subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=REPORT_TIMEOUT, check=True)
        with html.open("rb") as file:
            context.store.put(key, file)
    except (OSError, subprocess.SubprocessError, StoreError) as error:
        logger.warning("The report of a profiled job is lost: %s", error)
    else:
        logger.warning("The store has a report of memory that a profiled job did not free: %s", key)
