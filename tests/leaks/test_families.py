"""The gate of our own engine: no family leaves a byte a job behind, also where its blueprint is broken.

Two hundred jobs each: `python -m tests.leaks.families 200`.
"""

from pathlib import Path

import pytest

from leaks.hunt import hunt
from leaks.verdict import VerdictKind
from tests.leaks.families import BROKEN, subject

JOBS = 30

# One of each family, whole and on its error path.
HUNTED = (
    "a.dxf",
    "a.pdf",
    "a.svg",
    "a.png",
    "cmyk.tif",
    "broken-a.dxf",
    "broken-a.pdf",
    "broken-a.svg",
    "broken-a.jpg",
)


@pytest.mark.parametrize("name", HUNTED)
def test_given_any_format_when_rendered_repeatedly_then_nothing_is_leaked(name: str, tmp_path: Path) -> None:
    hunted = subject(name, tmp_path)

    report = hunt(hunted, "survivors", jobs=JOBS, out=tmp_path / "out", cache=tmp_path.parent / "tagger")

    assert report.verdict.kind is VerdictKind.CLEAN, report.verdict.explanation
    assert report.measurements is not None
    assert (report.measurements.failures == JOBS) is (name in BROKEN)
