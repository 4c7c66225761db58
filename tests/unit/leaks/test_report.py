"""Reports for people and machines."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from leaks.measurements import Measurements
from leaks.report import Report
from leaks.report.flame_graph import build_tree, lay_out_flame_graph
from leaks.report.html import write_html
from leaks.report.serialize import write_json, write_junit
from leaks.roots import AllocationSite, Frame, make_root
from leaks.verdict import Verdict, VerdictKind

EVIL = '<script>alert("x")</script> & co'


def stack(*functions: str) -> tuple[Frame, ...]:
    return tuple(Frame(function, "/lib/libMagickCore.so", "0x1") for function in functions)


@pytest.fixture
def report() -> Report:
    """A leak of 284,000 bytes per job."""
    flat = [1000 + 100 * job for job in range(20)]
    verdict = Verdict(VerdictKind.LEAK, "survivors", "It leaks.", 284_000, 21, appeared_in=(6, 7), measured=2)
    made = Report(EVIL, "survivors", verdict, 20, Measurements(20, 5, live=flat, resident=flat, kept_bytes=flat))
    made.roots = [make_root(stack("CloneMagickWand"), 568_000, 42, 2)]
    made.sites = [
        AllocationSite(stack("AcquireAlignedMemory", "MagickCompositeImage", "main"), 480_000, 2),
        AllocationSite(stack("CloneMagickWand", "main"), 88_000, 40),
    ]
    return made


def test_given_a_leak_then_the_page_shows_plot_root_and_flame_graph(report: Report, tmp_path: Path) -> None:
    write_html(report, tmp_path / "report.html")

    page = (tmp_path / "report.html").read_text()
    assert '<polyline class="live"' in page
    assert '<polyline class="resident"' in page
    assert page.count('class="survivors"') == 15
    assert "<code>CloneMagickWand</code>" in page
    assert "284,000" in page
    assert "MagickCompositeImage: 480,000 bytes (468.8 KiB) in 2 blocks." in page


def test_given_a_page_then_it_loads_no_resources_and_escapes_names(report: Report, tmp_path: Path) -> None:
    write_html(report, tmp_path / "report.html")

    page = (tmp_path / "report.html").read_text()
    HTMLParser().feed(page)
    assert not re.search(r"(src|href)=|url\(|@import|https?://", page)
    assert "<script" not in page


def test_given_a_leak_then_json_contains_its_numbers(report: Report, tmp_path: Path) -> None:
    write_json(report, tmp_path / "report.json")

    written = json.loads((tmp_path / "report.json").read_text())
    assert (written["verdict"], written["is_fault"], written["per_job"]) == ("leak", True, 284_000)
    assert written["roots"][0]["leaked_by"] == "CloneMagickWand"
    assert written["roots"][0]["bytes_per_job"] == 284_000


@pytest.mark.parametrize(
    ("kind", "failures"), [(VerdictKind.LEAK, "1"), (VerdictKind.CLEAN, "0"), (VerdictKind.GROWTH, "0")]
)
def test_given_a_verdict_then_the_junit_case_fails_only_for_faults(
    report: Report, kind: VerdictKind, failures: str, tmp_path: Path
) -> None:
    report.verdict = Verdict(kind, "live", "Why.")
    write_junit(report, tmp_path / "junit.xml")

    (suite,) = ET.parse(tmp_path / "junit.xml").getroot()  # noqa: S314 -- written just now
    assert suite.get("failures") == failures
    assert suite[0].get("name") == EVIL
    assert suite[0].get("classname") == "leaks.survivors"


def test_given_shared_outer_callers_then_the_graph_starts_where_they_differ(report: Report) -> None:
    top = build_tree(report.sites)

    assert set(top.callees) == {"MagickCompositeImage", "CloneMagickWand"}
    assert top.bytes == 568_000
    assert lay_out_flame_graph([]) is None


def test_given_boxes_of_different_widths_then_only_wide_ones_have_a_label(report: Report) -> None:
    report.sites.append(AllocationSite(stack("tiny", "main"), 2_000, 1))

    graph = lay_out_flame_graph(report.sites)

    assert graph is not None
    labels = {box.title.partition(":")[0]: box.label for box in graph.boxes}
    assert labels["AcquireAlignedMemory"] == "AcquireAlignedMemory"
    assert labels["tiny"] == ""
