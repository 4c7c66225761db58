"""`survivors`: counts blocks by the job that allocated them. If it suspects a leak, it repeats the jobs with stacks."""

from leaks.instruments.python import python_roots
from leaks.report import Report
from leaks.roots import parse_dump
from leaks.run import Run
from leaks.tagger import build_library
from leaks.verdict import VerdictKind, judge

NAME = "survivors"

LIMITATIONS = "It does not see memory mapped outside malloc, nor which of Python's small objects are kept."


def hunt(run: Run) -> Report:
    """Count survivors, and name their roots if there are any."""
    measurements = run.run_child("tagger", NAME, environment=_preload(run))
    report = Report(run.subject.name, NAME, judge(measurements), run.jobs, measurements, limitations=LIMITATIONS)
    return report if report.verdict.kind in {VerdictKind.CLEAN, VerdictKind.FRAGMENTATION} else name_roots(run, report)


def name_roots(run: Run, suspected: Report) -> Report:
    """Run the jobs again to find the functions that leaked and allocated the suspected memory."""
    if suspected.verdict.kind is VerdictKind.PYTHON:
        suspected.roots, suspected.sites = python_roots(run, cycles_first=suspected.verdict.decided_by == "waiting")
        return suspected
    measurements = run.run_child("stacks", f"{NAME}, with stacks", environment=_preload(run))
    report = Report(run.subject.name, NAME, judge(measurements), run.jobs, measurements, limitations=LIMITATIONS)
    dump = run.output_path("stacks")
    with dump.open(errors="replace") as lines:
        graph = parse_dump(lines)
    report.roots, report.sites = graph.roots(), graph.sites()
    report.files.append(dump)
    return report


def _preload(run: Run) -> dict[str, str]:
    return {"LD_PRELOAD": str(build_library(run.cache))}
