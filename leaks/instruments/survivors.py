"""`survivors`: blocks by job of birth. Counts first; on suspicion the same jobs again, with stacks and roots."""

from leaks.instruments.python import python_roots
from leaks.report import Report
from leaks.roots import parse
from leaks.run import Run
from leaks.tagger import build
from leaks.verdict import Kind, judge

NAME = "survivors"

BLIND = "It does not see memory that is mapped outside malloc, nor which of Python's own small objects stay."


def hunt(run: Run) -> Report:
    """Counts and a verdict; names if something stayed."""
    samples = run.child("tagger", NAME, environment=_preload(run))
    report = Report(run.subject.name, NAME, judge(samples), run.jobs, samples, blind=BLIND)
    return report if report.verdict.kind in {Kind.CLEAN, Kind.FRAGMENTATION} else name(run, report)


def name(run: Run, suspected: Report) -> Report:
    """The jobs once more, now that something is suspected, for who lost it and where it was born."""
    if suspected.verdict.kind is Kind.PYTHON:
        suspected.roots, suspected.places = python_roots(run, waiting=suspected.verdict.what == "waiting")
        return suspected
    samples = run.child("stacks", f"{NAME}, with stacks", environment=_preload(run))
    report = Report(run.subject.name, NAME, judge(samples), run.jobs, samples, blind=BLIND)
    dump = run.path("stacks")
    with dump.open(errors="replace") as lines:
        graph = parse(lines)
    report.roots, report.places = graph.roots(), graph.places()
    report.files.append(dump)
    return report


def _preload(run: Run) -> dict[str, str]:
    return {"LD_PRELOAD": str(build(run.cache))}
