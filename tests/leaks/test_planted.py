"""Every planted job gets the verdict that it deserves, and every lost clone its name."""

import tempfile
from pathlib import Path

import pytest

from leaks.errors import BadTarget, TargetFailed
from leaks.hunt import hunt
from leaks.report import Report
from leaks.target import Subject
from leaks.verdict import VerdictKind
from tests.leaks.corpus import CASES, CLONE, JOBS, Case

# One of each class: the rest is read by the same gauges under `survivors`.
GAUGED = (
    "clean",
    "clone",
    "one_in_ten",
    "one_byte",
    "spill_to_map",
    "descriptor",
    "cache_that_fills",
    "fragmentation",
    "python_cycle",
    "python_objects",
)


def hunted(subject: Subject, instrument: str, folder: Path, jobs: int = JOBS) -> Report:
    return hunt(subject, instrument, jobs=jobs, out=folder / "out", cache=folder.parent / "tagger")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_given_a_planted_job_when_hunted_with_survivors_then_class_and_root_are_right(
    case: Case, tmp_path: Path
) -> None:
    report = hunted(case.subject, "survivors", tmp_path)

    assert report.verdict.kind is case.kind, report.verdict.explanation
    assert report.verdict.decided_by == (case.what or report.verdict.decided_by)
    assert not case.root or report.roots[0].leaked_by.startswith(case.root)


@pytest.mark.parametrize("case", [case for case in CASES if case.name in GAUGED], ids=lambda case: case.name)
def test_given_a_planted_job_when_hunted_with_the_gauge_then_the_class_is_right(case: Case, tmp_path: Path) -> None:
    report = hunted(case.subject, "gauge", tmp_path)

    assert report.verdict.kind is case.kind, report.verdict.explanation


def test_given_a_leaked_clone_when_hunted_then_bytes_blocks_and_jobs_are_exact(tmp_path: Path) -> None:
    report = hunted(Subject("tests.leaks.planted:clone", {}), "survivors", tmp_path)

    verdict = report.verdict
    assert verdict.blocks_per_job == 21
    assert verdict.appeared_in == tuple(range(13, 58))
    assert report.roots[0].bytes + sum(root.bytes for root in report.roots[1:]) == verdict.per_job * 45


def test_given_a_leaked_clone_then_its_pixels_count_as_its_own(tmp_path: Path) -> None:
    report = hunted(Subject("tests.leaks.planted:clone", {}), "survivors", tmp_path)

    largest = report.sites[0]
    assert CLONE not in [frame.label for frame in largest.stack]
    assert largest.bytes > 0.8 * sum(place.bytes for place in report.sites)
    assert report.roots[0].leaked_by == CLONE
    assert report.roots[0].bytes > 0.99 * sum(root.bytes for root in report.roots)


def test_given_pixel_caches_leaked_on_disk_then_the_hunt_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    for name in ("TMPDIR", "MAGICK_TEMPORARY_PATH"):
        monkeypatch.setenv(name, str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)  # it is looked up once

    report = hunted(Subject("tests.leaks.planted:spill_to_disk", {}), "gauge", tmp_path, jobs=20)

    assert report.verdict.kind is VerdictKind.SPILL
    assert list((tmp_path / "tmp").iterdir()) == []


def test_given_a_leak_when_hunted_with_auto_then_it_stops_when_the_function_is_known(tmp_path: Path) -> None:
    report = hunted(Subject("tests.leaks.planted:clone", {}), "auto", tmp_path, jobs=20)

    assert (report.instrument, report.verdict.kind, report.roots[0].leaked_by) == ("survivors", VerdictKind.LEAK, CLONE)
    assert report.verdict.blocks_per_job == 21


def test_given_a_clean_job_when_hunted_with_auto_then_only_the_gauge_is_used(tmp_path: Path) -> None:
    report = hunted(Subject("tests.leaks.planted:clean", {}), "auto", tmp_path, jobs=20)

    assert (report.instrument, report.verdict.kind) == ("gauge", VerdictKind.CLEAN)


@pytest.mark.parametrize(
    ("target", "error", "text"),
    [
        ("nowhere.dxf", BadTarget, "nowhere.dxf is neither a file nor module:function. Check the path."),
        ("tests.leaks.planted:nothing", BadTarget, "Write module:function, importable from the current directory."),
        (
            "tests.leaks.planted:WIDTH",
            BadTarget,
            "is of type int and cannot be called. Name a function without arguments.",
        ),
        (
            "tests.leaks.planted:raises",
            TargetFailed,
            "A job raised ValueError: the overlay is damaged. To hunt for leaks on its error path, add --errors.",
        ),
        (
            "tests.leaks.planted:crash",
            TargetFailed,
            "The process died with SIGABRT before the first job was finished.",
        ),
    ],
)
def test_given_an_unusable_target_then_the_error_says_what_to_do(
    target: str, error: type[Exception], text: str, tmp_path: Path
) -> None:
    with pytest.raises(error) as caught:
        hunted(Subject(target, {}), "gauge", tmp_path, jobs=20)

    assert text in str(caught.value)


def test_given_too_few_jobs_then_there_is_no_verdict(tmp_path: Path) -> None:
    with pytest.raises(BadTarget, match=r"19 jobs are too few for a verdict. Use at least 20."):
        hunted(Subject("tests.leaks.planted:clean", {}), "gauge", tmp_path, jobs=19)


def test_given_a_job_that_exceeds_the_time_limit_then_it_is_killed(tmp_path: Path) -> None:
    with pytest.raises(
        TargetFailed, match=r"The time limit of 1 s was exceeded after job \d+. Use fewer jobs or a longer --limit."
    ):
        hunt(
            Subject("tests.leaks.planted:slow", {}),
            "gauge",
            jobs=50,
            out=tmp_path,
            cache=tmp_path / "tagger",
            timeout=1,
        )
