"""Reports for programs: JSON, and JUnit XML for continuous integration."""

import json
from pathlib import Path
from typing import Any

from junitparser import Failure, JUnitXml, TestCase, TestSuite

from leaks.report import Report
from leaks.roots import Stack

# Roots and sites that are written. A leak has one or two; a fragmented picture library has hundreds of sites.
MAX_ENTRIES = 50


def as_dict(report: Report) -> dict[str, Any]:
    """The report as plain data. Bytes and blocks are averages per measured job."""
    verdict = report.verdict
    measured = verdict.measured or 1
    return {
        "subject": report.subject,
        "instrument": report.instrument,
        "verdict": verdict.kind.value,
        "is_fault": verdict.kind.is_fault,
        "decided_by": verdict.decided_by,
        "explanation": verdict.explanation,
        "per_job": round(verdict.per_job, 3),
        "blocks_per_job": round(verdict.blocks_per_job, 3),
        "jobs": report.jobs,
        "measured": verdict.measured,
        "appeared_in": list(verdict.appeared_in),
        "roots": [
            {
                "leaked_by": root.leaked_by,
                "allocated_by": root.allocated_by,
                "bytes_per_job": round(root.bytes / measured, 3),
                "blocks_per_job": round(root.blocks / measured, 3),
                "count": root.count,
                "stack": _labels(root.stack),
            }
            for root in report.roots[:MAX_ENTRIES]
        ],
        "sites": [
            {"bytes": site.bytes, "blocks": site.blocks, "stack": _labels(site.stack)}
            for site in report.sites[:MAX_ENTRIES]
        ],
        "limitations": report.limitations,
        "seconds": round(report.seconds, 2),
        "files": [str(file) for file in report.files],
    }


def _labels(stack: Stack) -> list[str]:
    return [frame.label for frame in stack]


def write_json(report: Report, path: Path) -> None:
    """Write the report as one JSON object."""
    path.write_text(json.dumps(as_dict(report), indent=1) + "\n")


def write_junit(report: Report, path: Path) -> None:
    """Write the report as a suite of one test case, which fails if the verdict is a fault."""
    verdict = report.verdict
    case = TestCase(report.subject, f"leaks.{report.instrument}", round(report.seconds, 2))
    if verdict.kind.is_fault:
        failure = Failure(verdict.explanation, verdict.kind.value)
        failure.text = "\n".join(
            f"{root.leaked_by}: {root.bytes:,} bytes in {root.blocks:,} blocks" for root in report.roots[:MAX_ENTRIES]
        )
        case.result = [failure]
    else:
        case.system_out = verdict.explanation
    suite = TestSuite("leaks")
    suite.add_testcase(case)
    suites = JUnitXml("leaks")
    suites.add_testsuite(suite)
    suites.update_statistics()  # type: ignore[no-untyped-call]
    suites.write(str(path))
