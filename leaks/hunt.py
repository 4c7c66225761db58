"""A whole hunt, with one instrument or with `auto`, which escalates from cheap to reliable instruments."""

import time
from pathlib import Path

from leaks.errors import BadTarget
from leaks.instruments import NAMES, gauge, load_instrument, survivors
from leaks.measurements import MIN_JOBS
from leaks.report import Report
from leaks.run import ProgressCallback, Run, ignore_progress
from leaks.target import Subject
from leaks.verdict import VerdictKind

AUTO = "auto"

# Used when gauge and tagger suspect a leak but cannot name it: slower, and both work by reachability.
_ESCALATION = ("lsan", "memcheck")


def hunt(
    subject: Subject,
    name: str,
    *,
    jobs: int,
    out: Path,
    cache: Path,
    timeout: float = 600,
    on_progress: ProgressCallback = ignore_progress,
) -> Report:
    """Hunt for leaks in `subject` with the instrument `name`, and write files below `out`.

    Raises BadTarget, TargetFailed and ToolMissing.
    """
    if jobs < MIN_JOBS:
        raise BadTarget(f"{jobs} jobs are too few for a verdict. Use at least {MIN_JOBS}.")
    if not subject.is_function and not Path(subject.target).is_file():
        raise BadTarget(f"{subject.target} is neither a file nor module:function. Check the path.")
    out.mkdir(parents=True, exist_ok=True)
    run = Run(subject, jobs, out, cache, timeout, on_progress)
    started = time.monotonic()
    report = _escalate(run) if name == AUTO else load_instrument(name)(run)
    report.seconds = time.monotonic() - started
    return report


def _escalate(run: Run) -> Report:
    report = gauge.hunt(run)
    if not is_certain(report):
        report = survivors.name_roots(run, report)
    for name in _ESCALATION:
        if is_certain(report):
            break
        report = _prefer_named(report, load_instrument(name)(run))
    return report


def _prefer_named(report: Report, other: Report) -> Report:
    """The report that names a function. A tool that finds nothing does not overrule what was counted."""
    return other if other.roots else report


def is_certain(report: Report) -> bool:
    """Whether no other instrument is needed: there is no leak, or its function is known."""
    if report.verdict.kind in {VerdictKind.CLEAN, VerdictKind.FRAGMENTATION}:
        return True
    return bool(report.roots) or report.verdict.decided_by == "descriptors"  # which heap tools do not see


CHOICES = (AUTO, *NAMES)
