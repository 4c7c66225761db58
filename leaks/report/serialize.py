"""Reports for machines: JSON of everything, JUnit for continuous integration."""

import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from leaks.report import Report
from leaks.roots import Stack

# Roots and places that are written out; a leak has one or two, a fragmented picture library hundreds of places.
MAX_ENTRIES = 50


def as_dict(report: Report) -> dict[str, Any]:
    """Plain data. Bytes and blocks are a job's share, over all measured jobs."""
    verdict = report.verdict
    measured = verdict.measured or 1
    return {
        "subject": report.subject,
        "instrument": report.instrument,
        "verdict": verdict.kind.value,
        "fault": verdict.kind.is_fault,
        "decided_by": verdict.decided_by,
        "why": verdict.explanation,
        "per_job": round(verdict.per_job, 3),
        "blocks_per_job": round(verdict.blocks_per_job, 3),
        "jobs": report.jobs,
        "measured": verdict.measured,
        "appeared_in": list(verdict.appeared_in),
        "roots": [
            {
                "function": root.lost_by,
                "born": root.allocated_by,
                "bytes_per_job": round(root.bytes / measured, 3),
                "blocks_per_job": round(root.blocks / measured, 3),
                "count": root.count,
                "stack": _labels(root.stack),
            }
            for root in report.roots[:MAX_ENTRIES]
        ],
        "stacks": [
            {"bytes": place.bytes, "blocks": place.blocks, "stack": _labels(place.stack)}
            for place in report.sites[:MAX_ENTRIES]
        ],
        "blind": report.limitations,
        "seconds": round(report.seconds, 2),
        "files": [str(file) for file in report.files],
    }


def _labels(stack: Stack) -> list[str]:
    return [frame.label for frame in stack]


def write_json(report: Report, path: Path) -> None:
    """One JSON object."""
    path.write_text(json.dumps(as_dict(report), indent=1) + "\n")


def write_junit(report: Report, path: Path) -> None:
    """One test case: it fails if the verdict is a fault."""
    verdict = report.verdict
    fault = verdict.kind.is_fault
    case = f"<testcase classname={quoteattr('leaks.' + report.instrument)} name={quoteattr(report.subject)}"
    case += f' time="{report.seconds:.2f}">'
    if fault:
        roots = "\n".join(
            f"{root.lost_by}: {root.bytes:,} bytes in {root.blocks:,} blocks" for root in report.roots[:MAX_ENTRIES]
        )
        case += f"<failure type={quoteattr(verdict.kind)} message={quoteattr(verdict.explanation)}>{escape(roots)}</failure>"
    else:
        case += f"<system-out>{escape(verdict.explanation)}</system-out>"
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuite name="leaks" tests="1" failures="{int(fault)}" errors="0" time="{report.seconds:.2f}">'
        f"{case}</testcase></testsuite>\n"
    )
