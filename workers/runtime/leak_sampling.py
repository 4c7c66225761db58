"""Samples jobs for leaks of heap memory: repeats the work of one job in many, and measures what each time leaves.

    facts = sample_leaks(run, sampling)      # once the outputs are published

A process ends with its job, so what it has allocated then includes caches that a first job fills. `sampling` therefore
repeats the work in a process of its own, whose end does not concern the job. While the format is suspected of leaking,
memray records it. The report, a flame graph of memory that was not freed, is stored below
`leaks/`. It is made by confined code and describes a stranger's drawing: treat it like one.
"""

import importlib.util
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from celery.utils.log import get_logger

from tasks.jobs.leak_detection import REPORTS_PREFIX
from tasks.renders import ENGINE_VERSION
from tasks.storage import StoreError
from tasks.utils.units import MIB
from workers.runtime.attempt import JobRun
from workers.runtime.worker_context import WorkerContext
from workers.sandbox.runner import BodyFailed, ProcessDied, SandboxJob
from workers.sandbox.zygote.body import TEMPORARY

logger = get_logger(__name__)

# Reports per format and engine version; more would add nothing. Delete them from the store to get new ones.
MAX_REPORTS = 10

# Bytes of a report. It usually has 150 kB.
MAX_REPORT_BYTES = 16 * MIB

# Seconds of a job's work above which it is not repeated.
MAX_SECONDS = 10.0

_FLAME_GRAPH = "workers.render.sandboxed.residue:flame_graph"


def is_sampled(job: str, every: int) -> bool:
    """Whether this job is one in `every`; never if that is 0."""
    return every > 0 and zlib.crc32(job.encode()) % every == 0


def sample_leaks(run: JobRun, sampling: SandboxJob) -> dict[str, Any]:
    """Repeat the work if this job is sampled; returns the fact `heap_leaked_bytes` if that was measured.

    `sampling` repeats the work, and takes the argument `capture`: see `workers.render.sandboxed.residue.sample`.
    Errors are only logged. Raises LeaseLost if the attempt no longer counts.
    """
    context = run.context
    suspected_formats = context.leak_detector.suspected_formats(context.ledger)
    if not is_sampled(run.job.id, context.settings.leak_sample_every) or run.usage.sandbox_seconds >= MAX_SECONDS:
        return {}
    is_profiled = run.drawing_format in suspected_formats and _can_profile(context, run.drawing_format)
    capture = sampling.work.resolve() / TEMPORARY / "job.memray"
    arguments = {**sampling.arguments, "capture": str(capture) if is_profiled else None}
    try:
        facts = run.run_aside(replace(sampling, arguments=arguments)).value()
        if is_profiled:
            _store_report(run, capture)
    except (OSError, StoreError, ProcessDied, BodyFailed) as error:
        logger.warning("Job %s is not sampled for leaks: %s", run.job.id, error)
        return {}
    leaked = facts.get("heap_leaked_bytes")
    return {"heap_leaked_bytes": leaked} if type(leaked) is int else {}


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


def _store_report(run: JobRun, capture: Path) -> None:
    """Make a report of the capture, confined as well, and store it. Raises what the sandbox and the store raise."""
    html = capture.with_suffix(".html")
    key = f"{_report_prefix(run.drawing_format)}/{run.job.id}.html"
    with open_regular(capture):  # a source must be a file
        arguments = {"capture": str(capture), "report": str(html)}
        run.run_aside(SandboxJob(_FLAME_GRAPH, arguments, work=capture.parents[1], sources=(capture,))).value()
    with open_regular(html) as file:
        if os.fstat(file.fileno()).st_size > MAX_REPORT_BYTES:
            raise StoreError(f"the report has more than {MAX_REPORT_BYTES:,} bytes.")
        run.context.store.put(key, file)
    logger.warning("The store has a report of memory that a sampled job did not free: %s", key)


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a file that confined code has written. Raises OSError if it is no regular file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path.name} is no regular file.")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)
