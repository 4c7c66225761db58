"""The tools of others, on the lost clone and on the clean one. A missing tool skips at home and fails under CI."""

import os
from pathlib import Path

import pytest

from leaks.errors import ToolMissing
from leaks.hunt import hunt
from leaks.measurements import MIN_JOBS
from leaks.report import Report
from leaks.target import Subject
from leaks.verdict import VerdictKind


def hunted(function: str, instrument: str, folder: Path) -> Report:
    try:
        subject = Subject(f"tests.leaks.planted:{function}", {})
        return hunt(subject, instrument, jobs=MIN_JOBS, out=folder, cache=folder)
    except ToolMissing as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


@pytest.mark.parametrize("instrument", ["lsan", "memcheck"])
def test_given_a_leaked_clone_then_reachability_tools_name_it(instrument: str, tmp_path: Path) -> None:
    report = hunted("clone", instrument, tmp_path)

    assert report.verdict.kind is VerdictKind.LEAK
    assert report.roots[0].leaked_by == "CloneMagickWand"
    assert report.files[0].exists()


def test_given_a_leaked_clone_then_memray_counts_its_bytes_and_stores_its_capture(tmp_path: Path) -> None:
    report = hunted("clone", "memray", tmp_path)

    assert report.verdict.kind is VerdictKind.LEAK
    assert {root.leaked_by for root in report.roots} & {"CloneMagickWand", "MagickCompositeImageChannel"}
    assert (tmp_path / "memray.memray").stat().st_size


@pytest.mark.parametrize("instrument", ["lsan", "memray"])
def test_given_a_clean_job_then_they_report_no_leak(instrument: str, tmp_path: Path) -> None:
    earlier = "Direct leak of 360 byte(s) in 20 object(s) allocated from:\n\n"
    (tmp_path / "lsan-report.4711").write_text(earlier)  # of a hunt before, that had the same folder

    assert hunted("clean", instrument, tmp_path).verdict.kind is VerdictKind.CLEAN
