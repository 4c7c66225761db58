"""A hunt from beginning to end: one instrument, or `auto`, from cheap to sure until the verdict is certain."""

import time
from pathlib import Path

from leaks.errors import BadTarget
from leaks.instruments import NAMES, gauge, instrument, survivors
from leaks.report import Report
from leaks.run import Run, Tell, silent
from leaks.samples import FEWEST_JOBS
from leaks.target import Subject
from leaks.verdict import Kind

AUTO = "auto"

# Asked when gauge and tagger suspect something and nothing has a name: slower, and each sees by reachability.
_SURE = ("lsan", "memcheck")


def hunt(
    subject: Subject,
    name: str,
    *,
    jobs: int,
    out: Path,
    cache: Path,
    limit: float = 600,
    tell: Tell = silent,
) -> Report:
    """Hunt `subject` with the instrument `name`, files going below `out`.

    Raises BadTarget, JobBroke and ToolMissing (all HuntError).
    """
    if jobs < FEWEST_JOBS:
        raise BadTarget(f"{jobs} jobs are too few for a verdict. Take at least {FEWEST_JOBS}.")
    if not subject.is_function and not Path(subject.target).is_file():
        raise BadTarget(f"{subject.target} is neither a file nor module:function. Check the path.")
    out.mkdir(parents=True, exist_ok=True)
    run = Run(subject, jobs, out, cache, limit, tell)
    began = time.monotonic()
    report = _climb(run) if name == AUTO else instrument(name)(run)
    report.seconds = time.monotonic() - began
    return report


def _climb(run: Run) -> Report:
    report = gauge.hunt(run)
    if not is_certain(report):
        report = survivors.name(run, report)
    for name in _SURE:
        if is_certain(report):
            break
        report = _surer(report, instrument(name)(run))
    return report


def _surer(report: Report, other: Report) -> Report:
    """The report that names more; a tool that sees nothing does not overrule what was counted."""
    return other if other.roots else report


def is_certain(report: Report) -> bool:
    """Whether nothing is left to ask: nothing is wrong, or it has a name."""
    if report.verdict.kind in {Kind.CLEAN, Kind.FRAGMENTATION}:
        return True
    return bool(report.roots) or report.verdict.what == "descriptors"  # of which no heap tool knows


CHOICES = (AUTO, *NAMES)
